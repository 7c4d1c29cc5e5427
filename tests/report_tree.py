"""A work directory with a few scores, made by the real decode and the real scoring from hand-written answers."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from vlmake import paths
from vlmake.data.decode import decode
from vlmake.inference.predictions import PREDICTIONS
from vlmake.scoring.protocols import ScoringSpec, score
from vlmake.scoring.score_files import write_detail, write_judged, write_table

BIDI, ESCAPE, SURROUND = "\u202e", "\x1b", "\u2067"
HOSTILE = (
    "Yes <script>alert(1)</script>",
    "No </script></div></body></html><h1>owned</h1>",
    '"><img src=x onerror=alert(1)> Yes',
    "' onmouseover='alert(1)' yes",
    f"{BIDI}oN{SURROUND} yes \u200b\ufeff",
    f"{ESCAPE}[31mYes{ESCAPE}[0m\x00\x07\r{ESCAPE}]0;owned\x07",
    "Yes, " + "and so on " * 10_000,
    "{{ 7 * 7 }} {% raw %} <!-- --> ]]> &lt;b&gt; yes",
    '<a href="https://example.org/x">yes</a> <link rel=stylesheet href=//example.org/y.css>',
    "<style>*{display:none}</style><iframe src='https://example.org'></iframe><svg/onload=alert(1)> no",
    "Z̸̢̛͓̲͊̀ą̶̛͕l̸g̵o̷" * 200 + " yes",
    "نعم yes 是 👩‍👩‍👧",
)


def picture(number: int, size: tuple[int, int] = (96, 64)) -> bytes:
    image = Image.new("RGB", size, (40 + 17 * number % 200, 110, 200 - 13 * number % 180))
    ImageDraw.Draw(image).ellipse((10, 10, 20 + number, 40), fill="white")
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def benchmark(work: Path, name: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a TSV and decode it."""
    columns = list(rows[0])
    lines = ["\t".join(columns), *("\t".join(row.get(column, "") for column in columns) for row in rows)]
    tsv = work / f"{name}.tsv"
    tsv.write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = {"sha256": sha256(tsv.read_bytes()).hexdigest()}
    decode(tsv, source, work, work / paths.samples(name), work / paths.images(name))


def predictions(
    work: Path, model: str, dataset: str, answers: Mapping[str, str | None], task: str, statuses: Mapping[str, str] = {}
) -> None:
    spec = {"model": model, "dataset": dataset, "prompt": {"template": {"task": task}}}
    rows = [
        {
            "index": index,
            "repeat": 0,
            "key": "k",
            "prediction": text,
            "status": statuses.get(index, "ok"),
            "thinking": "<b>hm</b>" if index == "0" else None,
            "error": "ConnectionError <script>" if statuses.get(index) == "model_error" else None,
        }
        for index, text in answers.items()
    ]
    target = work / paths.predictions(model, dataset)
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS.with_metadata({"vlmake": json.dumps(spec)})), target)


def scored(work: Path, model: str, dataset: str, task: str, metric: str) -> None:
    """Score predictions that are there."""
    base = paths.parse_dataset(dataset)
    samples = pq.read_table(work / paths.samples(base.base)).slice(0, base.limit).to_pandas()
    answers = pq.read_table(work / paths.predictions(model, dataset)).to_pandas()
    result = score(samples, answers, ScoringSpec(dataset, task, metric))  # type: ignore[arg-type]
    write_judged(result, work / paths.judged(model, dataset))
    write_table(result, work / paths.score_csv(model, dataset))
    write_detail(
        result,
        {"model": {"revision": "<script>alert(2)</script>"}, "url": "https://example.org/"},
        work / paths.score_json(model, dataset),
    )


def yes_no_tree(work: Path, models: Sequence[str] = ("TinyVLM",), answers: Sequence[str] = HOSTILE) -> None:
    """MME-like questions, two an image; answers are hostile unless said otherwise, one fails, one picture is broken."""
    rows = []
    for number in range(24):
        image = b64encode(picture(number // 2)).decode() if number != 5 else b64encode(b"GIF89a" + b"x" * 80).decode()
        rows.append(
            {
                "index": str(number),
                "image": image,
                "question": f"Is there a <b>circle</b> {number}? Please answer yes or no.",
                "answer": "Yes" if number % 2 else "No",
                "category": "OCR" if number < 12 else '<i onclick="x()">count</i>',
                "image_path": f"{number // 2}.png",
            }
        )
    benchmark(work, "YesNo", rows)
    for model in models:
        texts: dict[str, str | None] = {str(number): answers[number % len(answers)] for number in range(24)}
        texts["5"] = texts["7"] = None
        texts["9"] = "I cannot tell."
        predictions(work, model, "YesNo", texts, "yes_no", {"5": "bad_image", "7": "model_error"})
        scored(work, model, "YesNo", "yes_no", "mme")


def circular_tree(work: Path, model: str = "TinyVLM") -> None:
    """Two questions in two rotations each: one is right in both, one only as first asked."""
    image = b64encode(picture(3, (900, 500))).decode()
    rows = [
        {"index": f"{turn * 1_000_000 + number}", "image": image, "question": f"Which colour {number}?"}
        | {"A": "red" if turn == 0 else "blue", "B": "blue" if turn == 0 else "red"}
        | {"answer": "A" if turn == 0 else "B", "category": "colour", "split": "dev"}
        for turn in (0, 1)
        for number in (1, 2)
    ]
    benchmark(work, "Circular", rows)
    answers: dict[str, str | None] = {"1": "A", "2": "The answer is A.", "1000001": "B", "1000002": "A"}
    predictions(work, model, "Circular", answers, "multiple_choice")
    scored(work, model, "Circular", "multiple_choice", "choice_circular")
