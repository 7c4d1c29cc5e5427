"""A benchmark made of others, judged: what the whole's score says of the judge is what its parts' say together."""

import csv
from pathlib import Path

import pytest

from tests.chat_server import running
from tests.conftest import Workplace, make_benchmark, read_tsv, write_tsv
from tests.workflow.test_judges import detail, endpoint, judge

CLEARLY = "Answer clearly."


def asked_clearly(entry: dict[str, object]) -> dict[str, object]:
    """The benchmark with words in every question at which the model does not mumble."""
    file = Path(str(entry["path"]))
    header, *rows = read_tsv(file)
    place = header.index("question")
    write_tsv(file, [header, *([*row[:place], f"{row[place]} {CLEARLY}", *row[place + 1 :]] for row in rows)])
    return entry


def one_line(output: str) -> str:
    """What was printed, without the ends of a terminal's lines."""
    return " ".join(output.split())


@pytest.mark.slow
def test_the_whole_tells_of_its_parts_judge_and_of_rules_that_stood_in_for_it(
    workplace: Workplace, tmp_path: Path
) -> None:
    place = workplace
    place.datasets = {
        "Mumbled": make_benchmark(tmp_path / "tsv", "Mumbled", 12),
        "Clear": asked_clearly(make_benchmark(tmp_path / "tsv", "Clear", 8)),
        "Both": {"parts": ["Mumbled", "Clear"], "task": "yes_no", "metric": "mme"},
    }
    place.config.update(models=["Served"], datasets=["Both"])
    with running(mumbles=True, clear_at=CLEARLY) as model:
        place.models["Served"] = endpoint(model.url)
        body = {"error": {"message": "Incorrect API key provided"}}
        with running(fixed={"status": 401, "body": body}) as refusing:
            place.judges["frail"] = judge(refusing.url, price={"input": 1000, "output": 1000})
            done = place.vlmake("run", "--judge", "frail", "--judge-fallback", "exact", "--self-agreement", "1")
        assert done.code == 0, done.output
        mumbled = [row for row in place.predictions("Served", "Mumbled") if str(row["prediction"]).startswith("Well")]
        assert mumbled
        assert not [row for row in place.predictions("Served", "Clear") if str(row["prediction"]).startswith("Well")]
        reason = detail(place, ".frail", "Mumbled")["judging"]["fallback"]
        assert detail(place, ".frail", "Both")["judging"]["fallback"] == f"rules stood in for part Mumbled: {reason}"
        assert "rules stood in for part Mumbled: " in one_line(done.output)
        with (place.folder / "results" / "summary.csv").open(newline="", encoding="utf-8") as lines:
            told = {line["dataset"]: line for line in csv.DictReader(lines)}["Both"]
        assert (told["judge"], told["judged"]) == ("frail", "0")
        assert told["judge_fallback"].startswith("rules stood in for part Mumbled: ")

        with running(judges=True, port=refusing.port):
            done = place.vlmake("run", "--self-agreement", "1")
        assert done.code == 0, done.output
    whole, parts = detail(place, ".frail", "Both"), [detail(place, ".frail", name) for name in ("Mumbled", "Clear")]
    judging = whole["judging"]
    assert "fallback" not in judging, "the parts were judged anew"
    assert judging["asked"] == judging["found"] == len(mumbled)
    assert judging["none"] == parts[0]["judging"]["none"]
    assert judging["cost"] == parts[0]["judging"]["cost"] > 0
    assert judging["self_agreement"] == {"asked": len(mumbled), "equal": len(mumbled)}
    assert judging["identity"] == "endpoint:judge-1@"
    for protocol, numbers in whole["protocols"].items():
        assert numbers["extraction"]["judged"] == len(mumbled)
        assert parts[1]["protocols"][protocol]["extraction"]["judged"] == 0
    line = f"judge frail decided {len(mumbled)} of 20 samples"
    agreed = f"asked twice it agreed with itself on {len(mumbled)} of {len(mumbled)}; cost {judging['cost']:.4f}"
    assert line in one_line(done.output)
    assert agreed in one_line(done.output)
    page = (place.folder / "results" / "report" / "index.html").read_text(encoding="utf-8")
    assert line in page
