"""A dataset class as VLMEvalKit's development guide describes it, run by the real Snakemake on the real TinyVLM."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import BENCHMARKS, Ran, Workplace, read_tsv, write_tsv

ROWS = 12

# Written for VLMEvalKit but for the first line, which there is two: `from ..smp import *` and
# `from .image_base import ImageBaseDataset`.
SOURCE = """
from vlmake.vlmeval import *


class ShapesMCQ(ImageBaseDataset):

    TYPE = 'MCQ'

    DATASET_URL = {'ShapesMCQ': 'URL', 'ShapesCrop': ''}
    DATASET_MD5 = {'ShapesMCQ': 'MD5'}

    def build_prompt(self, line):
        if isinstance(line, int):
            line = self.data.iloc[line]
        if self.meta_only:
            tgt_path = toliststr(line['image_path'])
        else:
            tgt_path = self.dump_image(line)
        if self.dataset_name == 'ShapesCrop':
            image = Image.open(tgt_path[0])
            tgt_path = [osp.join(self.img_root, f'crop_{line["index"]}.png')]
            image.crop((0, 0, 40, 40)).save(tgt_path[0])
        options = {
            cand: line[cand]
            for cand in string.ascii_uppercase
            if cand in line and not pd.isna(line[cand])
        }
        options_prompt = 'Options:\\n'
        for key, item in options.items():
            options_prompt += f'{key}. {item}\\n'
        hint = line['hint'] if ('hint' in line and not pd.isna(line['hint'])) else None
        prompt = ''
        if hint is not None:
            prompt += f'Hint: {hint}\\n'
        prompt += f"Question: {line['question']}\\n"
        if len(options):
            prompt += options_prompt
            prompt += 'Please select the correct answer from the options above. \\n'
        msgs = [dict(type='image', value=p) for p in tgt_path]
        msgs.append(dict(type='text', value=prompt))
        return msgs

    def evaluate(self, eval_file, **judge_kwargs):
        assert judge_kwargs['model'] == 'exact_matching'
        suffix = eval_file.split('.')[-1]
        data = load(eval_file)
        assert 'image' not in data
        data = data.sort_values(by='index')
        data['prediction'] = [str(x) for x in data['prediction']]
        data['hit'] = [p.strip()[:1] == a for p, a in zip(data['prediction'], data['answer'])]
        dump(data, eval_file.replace(f'.{suffix}', f'_result.{suffix}'))
        res = defaultdict(list)
        res['split'] = ['none']
        for category in sorted(set(data['category'])):
            res[category] = [np.mean(data[data['category'] == category]['hit'])]
        res['Overall'] = [np.mean(data['hit'])]
        print('evaluated', self.dataset_name, len(self))
        return pd.DataFrame(res)
"""


def edit(place: Workplace, old: str, new: str) -> None:
    module = place.folder / "config" / "datasets" / "my_module.py"
    text = module.read_text(encoding="utf-8")
    assert old in text
    module.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(scope="module")
def ran_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, Ran]:
    base = tmp_path_factory.mktemp("class")
    tsv = base / "Shapes.tsv"
    write_tsv(tsv, read_tsv(BENCHMARKS / "ShapesBench.tsv")[: ROWS + 1])
    place = Workplace(base / "work dir", base / "home")
    (place.folder / "config" / "datasets").mkdir(parents=True)
    place.home.mkdir()
    source = SOURCE.replace("URL'", f"{tsv.as_uri()}'").replace("MD5'", f"{hashlib.md5(tsv.read_bytes()).hexdigest()}'")
    (place.folder / "config" / "datasets" / "my_module.py").write_text(source, encoding="utf-8")
    shards = {"rows": ROWS, "rows_per_shard": ROWS // 2, "max_new_tokens": 8}
    place.datasets = {
        "ShapesMCQ": {"dataset": "my_module:ShapesMCQ", **shards},
        "ShapesCrop": {"dataset": "my_module:ShapesMCQ", "path": str(tsv), "max_new_tokens": 8},
        "Plain": {"path": str(tsv), "task": "multiple_choice", "metric": "choice", "max_new_tokens": 8},
    }
    place.config.update(models=["TinyVLM"], datasets=["ShapesMCQ", "ShapesCrop@4"])
    return place, place.snakemake()


@pytest.fixture
def place(ran_once: tuple[Workplace, Ran], tmp_path: Path) -> Workplace:
    """A copy of the finished work directory, free to be changed."""
    return ran_once[0].copy_to(tmp_path / "work dir")


def score(place: Workplace, dataset: str) -> dict[str, object]:
    content: dict[str, object] = json.loads(place.result("TinyVLM", f"{dataset}_score.json").read_text("utf-8"))
    return content


def test_class_runs_through_the_ordinary_stages(ran_once: tuple[Workplace, Ran]) -> None:
    place, ran = ran_once
    assert ran.code == 0, ran.output
    assert ran.jobs == sorted([
        "all", "report", "summary", "merge TinyVLM/ShapesMCQ", "infer TinyVLM/ShapesCrop@4",
        *(f"{rule} {name}" for rule in ("download", "decode_class") for name in ("ShapesMCQ", "ShapesCrop")),
        *(f"infer_shard TinyVLM/ShapesMCQ/00{number}/002" for number in (0, 1)),
        "score_class TinyVLM/ShapesMCQ", "score_class TinyVLM/ShapesCrop@4",
    ])  # fmt: skip
    assert (place.home / "LMUData" / "ShapesMCQ.tsv").is_file()
    assert not list(place.folder.rglob(".class-*"))


def test_table_is_the_classes_own_and_samples_have_its_hits(ran_once: tuple[Workplace, Ran]) -> None:
    place, _ = ran_once
    header, *rows = read_tsv(BENCHMARKS / "ShapesBench.tsv")[: ROWS + 1]
    samples = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    predicted = place.predictions("TinyVLM", "ShapesMCQ")
    hits = {str(row["index"]): str(row["prediction"])[:1] == samples[str(row["index"])]["answer"] for row in predicted}
    assert set(hits.values()) == {True, False}, "a table of one value would tell little"
    overall = sum(hits.values()) / ROWS
    with place.result("TinyVLM", "ShapesMCQ_score.csv").open(encoding="utf-8") as file:
        (table,) = csv.DictReader(file)
    counts = Counter(row["category"] for row in samples.values())
    expected = {
        name: sum(hit for index, hit in hits.items() if samples[index]["category"] == name) / count
        for name, count in counts.items()
    }
    assert {name: float(value) for name, value in table.items() if name != "split"} == expected | {"Overall": overall}
    detail = score(place, "ShapesMCQ")
    assert [detail["metric"], detail["protocol"], detail["judge"]] == [
        "my_module:ShapesMCQ", "class", "exact_matching",
    ]  # fmt: skip
    numbers = detail["protocols"]["class"]  # type: ignore[index]
    assert numbers["overall"] == {"name": "Overall", "value": overall, "n": ROWS}
    assert (numbers["accuracy"]["value"], numbers["accuracy"]["n"]) == (overall, ROWS)
    judged = pq.read_table(place.result("TinyVLM", "ShapesMCQ_judged.parquet")).to_pylist()
    assert {row["index"]: row["hit"] == 1 for row in judged} == hits
    assert {(row["protocol"], row["rule"], row["extracted"]) for row in judged} == {("class", "class", None)}
    assert "evaluated ShapesMCQ 12" in place.result("TinyVLM", "ShapesMCQ_class.log").read_text(encoding="utf-8")
    report = (place.folder / "results" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Please select the correct answer from the options above." in report
    assert "my_module:ShapesMCQ" in (place.folder / "results" / "summary.csv").read_text(encoding="utf-8")


def test_limit_reaches_the_class(ran_once: tuple[Workplace, Ran]) -> None:
    place, _ = ran_once
    assert score(place, "ShapesCrop@4")["samples"]["total"] == 4  # type: ignore[index]
    assert "evaluated ShapesCrop 4" in place.result("TinyVLM", "ShapesCrop@4_class.log").read_text(encoding="utf-8")


def test_second_run_runs_nothing(place: Workplace) -> None:
    ran = place.snakemake()
    assert (ran.code, ran.jobs) == (0, []), ran.output


def test_prompts_are_those_of_the_class_and_pictures_it_makes_are_taken_in(place: Workplace) -> None:
    tsv = str(place.datasets["Plain"]["path"])

    def prompts(name: str) -> list[dict[str, object]]:
        ran = place.vlmake("prompts", "--dataset", name, "--tsv", tsv)
        assert ran.code == 0, ran.output
        return [json.loads(line) for line in ran.output.splitlines()]

    assert prompts("ShapesMCQ") == prompts("Plain")
    sizes = [part["size"] for row in prompts("ShapesCrop") for part in row["messages"][:1]]  # type: ignore[index]
    assert sizes == [[40, 40]] * ROWS
    listed = place.vlmake("list", "datasets", "--family", "here").output
    line = next(line for line in listed.splitlines() if line.startswith("  ShapesMCQ "))
    assert line.split()[:3] == ["ShapesMCQ", "score", str(ROWS)]
    assert "my_module:ShapesMCQ" in line


def test_edited_evaluation_scores_again_and_asks_nothing(place: Workplace, without_torch: str) -> None:
    before = score(place, "ShapesCrop@4")["protocols"]["class"]["overall"]  # type: ignore[index]
    edit(place, "res['Overall'] = [np.mean(data['hit'])]", "res['Overall'] = [100 * np.mean(data['hit'])]")
    target = "results/TinyVLM/ShapesCrop@4_score.csv"
    ran = place.snakemake("--", target, PYTHONPATH=f"{without_torch}:{place.product / 'src'}")
    assert ran.code == 0, ran.output
    assert ran.jobs == ["decode_class ShapesCrop", "infer TinyVLM/ShapesCrop@4", "score_class TinyVLM/ShapesCrop@4"]
    after = score(place, "ShapesCrop@4")["protocols"]["class"]["overall"]  # type: ignore[index]
    assert after["value"] == 100 * before["value"]
    assert len(place.journal_lines("TinyVLM", "ShapesCrop")) == 4
    assert place.snakemake("--", target).jobs == []


@pytest.mark.slow
def test_edited_prompt_asks_again(place: Workplace) -> None:
    edit(place, "'Please select the correct answer", "'Select the correct answer")
    assert place.snakemake("--", "results/TinyVLM/ShapesCrop@4_predictions.parquet").code == 0
    assert len(place.journal_lines("TinyVLM", "ShapesCrop")) == 8


@pytest.mark.slow
def test_error_in_evaluate_is_one_line_and_costs_no_answer(place: Workplace) -> None:
    edit(place, "res = defaultdict(list)", "res = data['nothing']")
    target = "results/TinyVLM/ShapesCrop@4_score.csv"
    ran = place.vlmake(target)
    assert ran.code != 0
    assert "Traceback" not in ran.output
    (line,) = (line for line in ran.output.splitlines() if line.startswith("vlmake score_class: "))
    log = "results/TinyVLM/ShapesCrop@4_class.log"
    assert "dataset 'ShapesCrop': my_module:ShapesMCQ: evaluate: KeyError: 'nothing' (my_module.py line " in line
    assert line.endswith(f"; its output is in {log}")
    assert "Traceback" in (place.folder / log).read_text(encoding="utf-8")
    assert not (place.folder / target).exists()
    assert len(place.predictions("TinyVLM", "ShapesCrop@4")) == 4
    edit(place, "res = data['nothing']", "res = defaultdict(list)")
    assert place.vlmake(target).code == 0
    assert len(place.journal_lines("TinyVLM", "ShapesCrop")) == 4


def test_finished_predictions_are_scored_by_the_class(place: Workplace, tmp_path: Path) -> None:
    answers = [[str(row["index"]), str(row["prediction"])] for row in place.predictions("TinyVLM", "ShapesMCQ")]
    write_tsv(tmp_path / "given.tsv", [["index", "prediction"], *answers])
    words = ["score", "--dataset", "ShapesMCQ", "--tsv", str(place.datasets["Plain"]["path"])]
    given = ["--predictions", str(tmp_path / "given.tsv"), "--out", str(tmp_path / "out.csv")]
    ran = place.vlmake(*words, *given, "--items", str(tmp_path / "items.jsonl"))
    assert ran.code == 0, ran.output
    assert (tmp_path / "out.csv").read_bytes() == place.result("TinyVLM", "ShapesMCQ_score.csv").read_bytes()
    assert len((tmp_path / "items.jsonl").read_text(encoding="utf-8").splitlines()) == ROWS


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"dataset": "gone:Mine"}, "dataset 'Mine': there is no gone.py in "),
        ({"dataset": "my_module.ShapesMCQ"}, "dataset: 'my_module.ShapesMCQ' is no class; write my_module:MyDataset"),
        ({"dataset": "my_module:ShapesMCQ", "metric": "choice"}, "`dataset` and `metric` exclude each other"),
        ({"python_path": ".", "task": "vqa", "metric": "vqa_exact"}, "class of `dataset` lies, and there is none"),
    ],
)  # fmt: skip
def test_faulty_entry_is_refused_before_any_work(place: Workplace, entry: dict[str, object], expected: str) -> None:
    place.datasets["Mine"] = entry
    ran = place.vlmake("run", "--data", "Mine")
    assert ran.code != 0
    assert expected in ran.output
    assert "Traceback" not in ran.output


def test_other_form_of_images_is_refused_for_a_class(place: Workplace) -> None:
    place.config["image_roundtrip"] = "vlmevalkit"
    ran = place.vlmake("run", "--data", "ShapesCrop@4")
    assert ran.code != 0
    assert "its class says which images are shown; set `image_roundtrip: off`" in ran.output


def test_export_shows_the_classes_hits_and_audit_has_nothing_to_read(place: Workplace) -> None:
    out = place.folder / "out.csv"
    ran = place.vlmake("export", "--model", "TinyVLM", "--dataset", "ShapesMCQ", "--out", str(out))
    assert ran.code == 0, ran.output
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    overall = score(place, "ShapesMCQ")["protocols"]["class"]["overall"]["value"]  # type: ignore[index]
    assert sum(float(row["hit"]) for row in rows) / ROWS == overall
    ran = place.vlmake("audit", "draw", "--model", "TinyVLM", "--data", "ShapesMCQ", "--out", str(out) + ".csv")
    assert ran.code != 0
    assert "its class reads the answers" in ran.output
