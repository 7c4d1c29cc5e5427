"""Rows of any registered benchmark, made up in the layout in which benchmarks of its metric are published."""

import base64
import io

from PIL import Image

from vlmake.inference.prompts import Piece, Template
from vlmake.registry.dataset_entries import DatasetEntry, prompt_template

ROWS = 8
THINGS = ("square", "circle", "star", "line", "moon", "cross", "ring", "arrow")


def picture(number: int) -> str:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (30 * number % 256, 90, 10)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def answer_of(entry: DatasetEntry, row: int) -> str:
    if entry.task == "yes_no":
        return ("Yes", "No")[row % 2]
    if entry.task == "multiple_choice":
        return "ABCD"[row % 4]
    if entry.task == "caption":
        return f"['a {THINGS[row]} on red ground', 'one {THINGS[row]}']"
    return "red" if entry.metric == "mtvqa" else "['red', 'crimson']"


def cells(entry: DatasetEntry, row: int) -> dict[str, str]:
    """One row as benchmarks of this metric publish it."""
    index = str(row % 2 + 1_000_000 * (row // 2)) if entry.metric == "choice_circular" else str(row)
    if entry.metric == "hallusion":
        index = f"VS_map_{row % 2}_{row // 4}_{row // 2}_{row % 4}"
    made = {"index": index, "image": picture(row // 2), "category": ("Regular Text Recognition", "b")[row % 2]}
    made |= {"l2-category": "visual_recognition", "split": ("dev", "test")[row % 2], "image_path": f"{row // 2}.jpg"}
    if entry.metric in ("ocrbench", "mme"):
        made["category"] = {"ocrbench": "Regular Text Recognition", "mme": "OCR"}[entry.metric]
    if entry.question is None:
        made["question"] = f"What is in picture {row}?"
    if entry.task == "multiple_choice":
        made |= {"A": "red", "B": "green", "C": "blue", "D": "white"}
    if entry.answers:
        made["answer"] = answer_of(entry, row)
    if entry.submission == "mmmu":
        made["id"] = f"test_Art_{row}"
    if entry.metric == "vizwiz":
        made["answers"] = "['red', 'red', 'red', 'blue']"
    return made | _asked_by(prompt_template(entry), made)


def _asked_by(template: Template, made: dict[str, str]) -> dict[str, str]:
    """Further columns that the prompts are made of, and marks where images stand at marks alone."""
    mark = (template.image_mark or "<image>").replace("{number0}", "0").replace("{number}", "1")
    mark = f" {mark}" if template.image_order == "only_at_marks" else ""
    more = {name: f"a {name}{mark}" for name in template.columns() - {"hint"} if name not in made or mark}
    if not isinstance(template.image_order, str) and template.image_order["by"] != "question":
        more[template.image_order["by"]] = _fitting(template.image_order)
    more |= {piece["by"]: _fitting(piece) for piece in template.pieces.values() if piece["by"] not in made}
    if template.options_from is not None:
        more[template.options_from["column"]] = "['red', 'green', 'blue', 'white']"
    return {name: cell for name, cell in more.items() if name != "index" and (name != "question" or name in made)}


def _fitting(piece: Piece) -> str:
    """A cell for which there is a text, and not that there are no images."""
    return next((pattern.replace("*", "") for pattern, text in piece["cases"] if text != "none"), "other")
