"""The numbers of a preview, checked by hand against small work directories."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.chat_server import running
from vlmake import paths
from vlmake.endpoints.faults import EndpointStoppedError
from vlmake.endpoints.spending import Price
from vlmake.errors import VlmakeError
from vlmake.inference.journal import JournalWriter, Prediction, settle_epoch, start_epoch
from vlmake.inference.predictions import shard_table, write_predictions
from vlmake.judges.asking import Case, question
from vlmake.judges.deciding import decide
from vlmake.judges.judge_spec import resolve
from vlmake.judges.judgements import write_judgements
from vlmake.judges.opening import JudgeAtHand
from vlmake.judges.registry import load_judging
from vlmake.judges.resolution import Choice
from vlmake.models.model_spec import answer_settings, benchmark_settings
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.judge_entries import JudgeEndpointEntry
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import EndpointEntry, TransformersEntry
from vlmake.runs.planning import Plan
from vlmake.runs.preview import Line, Target, limits, preview, targets_of
from vlmake.runs.preview_sizes import NOTHING, UNKNOWN, Bill, Size, times, total
from vlmake.runs.preview_tokens import text_tokens
from vlmake.runs.run_config import RunConfig
from vlmake.runs.specs import prompt_spec
from vlmake.runs.terminal_preview import money, number, show

SERVED = {"api_base": "http://localhost:1", "served_model": "m"}
PRICE = {"input": 1000.0, "output": 10_000.0}
YES_NO = {"task": "yes_no", "metric": "yes_no", "max_new_tokens": 8}
OPEN = "Well, that could be said in some way."


def plan(judge: str = "exact", **config: object) -> Plan:
    datasets = {
        "Known": DatasetEntry(rows=24, **YES_NO),  # type: ignore[arg-type]
        "Unknown": DatasetEntry(**YES_NO),  # type: ignore[arg-type]
        "Graded": DatasetEntry(rows=10, task="vqa", metric="mmvet"),
        "Whole": DatasetEntry(task="yes_no", metric="yes_no", parts=("Known", "Unknown")),
    }
    models = {
        "Local": TransformersEntry(repository="a/b"),
        "Served": EndpointEntry.model_validate({"backend": "endpoint", "price": PRICE, **SERVED}),
    }
    judges = {
        "paid": JudgeEndpointEntry.model_validate({**SERVED, "price": PRICE, "max_new_tokens": 100}),
        "free": JudgeEndpointEntry.model_validate(SERVED),
        "unnamed": JudgeEndpointEntry.model_validate({"api_base": "http://localhost:1", "price": PRICE}),
    }
    settings = RunConfig.model_validate(config)
    return Plan(Registry(datasets, models, {}, judges), settings, Choice(judge))


def reply(index: str, key: str = "", **values: object) -> Prediction:
    blank = Prediction(
        key=key or index,
        index=index,
        repeat=0,
        prediction="Yes",
        thinking=None,
        status="ok",
        finish_reason="stop",
        prompt_tokens=None,
        completion_tokens=None,
        error=None,
        seconds=0.0,
        epoch=0,
    )
    return replace(blank, **values)  # type: ignore[arg-type]


def journaled(folder: Path, replies: Sequence[Prediction]) -> None:
    writer = JournalWriter(folder)
    writer.append(replies)
    writer.close()


def decoded(work_dir: Path, base: str, rows: int) -> list[str]:
    """Write the decoded rows of a benchmark; return their questions."""
    questions = [f"Is there a dog in picture {row}?" for row in range(rows)]
    columns = {
        "index": list(map(str, range(rows))),
        "question": questions,
        "answer": ["Yes"] * rows,
        "images": [["digest"]] * rows,
        "image_error": pa.nulls(rows, pa.string()),
        "group": list(map(str, range(rows))),
    }
    file = work_dir / paths.samples(base)
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), file)
    return questions


def predicted(work_dir: Path, it: Plan, target: Target, texts: Sequence[str], **changed: object) -> None:
    """Write a predictions file as the inference stage does, with the settings of the plan or others."""
    base = paths.parse_dataset(target.dataset).base
    entry, model = it.registry.datasets[base], it.registry.models[target.model]
    here = benchmark_settings(model, base, entry)
    made_by = {
        "settings": answer_settings(model),
        "prompt": prompt_spec(entry, here),
        "generation": {"max_new_tokens": here.max_new_tokens, "do_sample": False},
    }
    rows = [
        {
            "index": str(row),
            "repeat": 0,
            "key": str(row),
            "prediction": text,
            "status": "ok",
            "seconds": 0.0,
        }
        for row, text in enumerate(texts)
    ]
    table = shard_table(rows, range(len(rows)), json.loads(json.dumps(made_by | changed)))
    file = work_dir / paths.predictions(target.model, target.dataset)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_predictions([table], file, work_dir / paths.timing(target.model, target.dataset))


def line(it: Plan, target: Target, work_dir: Path, *, fresh: bool = False) -> Line:
    (only,) = preview(it, [target], work_dir, fresh=fresh)
    return only


# Sizes


def test_a_sum_is_as_sure_as_its_least_sure_part() -> None:
    assert total([Size(2), Size(3, "about")]) == Size(5, "about")
    assert total([Size(2, "at most"), Size(3, "about"), UNKNOWN]) == Size(5, "at most", and_unknown=True)
    assert total([Size(2), NOTHING]) == Size(2)
    assert times(NOTHING, UNKNOWN) == NOTHING
    assert times(Size(3), Size(4, "at most")) == Size(12, "at most")


def test_money_is_tokens_by_their_prices() -> None:
    tokens = (Size(2_000, "about"), Size(500, "at most"))
    assert Bill("j", Size(5), *tokens, Price(1.0, 4.0)).money() == Size(0.004, "at most")
    assert Bill("j", Size(5), *tokens).money() == UNKNOWN
    assert Bill("j", NOTHING, NOTHING, NOTHING).money() == NOTHING


def test_doubt_is_shown() -> None:
    sizes = [Size(1200), Size(1200.4, "about"), Size(3, "at most"), UNKNOWN, Size(7, "about", and_unknown=True)]
    assert list(map(number, sizes)) == ["1,200", "~1,200", "≤3", "?", "~7+?"]
    assert [money(Size(value)) for value in (0, 0.00123, 0.5, 1234.5)] == ["0.00", "0.0012", "0.50", "1,234.50"]


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("four", 1), ("fives", 2), ("图片里有狗", 5), ("图片 dog?", 4)])
def test_tokens_of_a_text(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


# Samples to infer


@pytest.mark.parametrize(
    ("dataset", "size"),
    [("Known", Size(24)), ("Known@5", Size(5)), ("Unknown", UNKNOWN), ("Unknown@5", Size(5, "at most"))],
)
def test_without_data_the_entry_tells_the_rows(dataset: str, size: Size, tmp_path: Path) -> None:
    assert line(plan(), Target("Local", dataset), tmp_path) == Line(Target("Local", dataset), size, None, None)


def test_decoded_rows_tell_their_number_whatever_the_entry_says(tmp_path: Path) -> None:
    decoded(tmp_path, "Known", 30)
    assert line(plan(), Target("Local", "Known"), tmp_path).infer == Size(30)
    assert line(plan(), Target("Local", "Known@99"), tmp_path).infer == Size(30)


def test_journaled_answers_count_once_and_failed_ones_not_at_all(tmp_path: Path) -> None:
    decoded(tmp_path, "Known", 24)
    failed = reply("3", status="model_error", prediction=None)
    journaled(tmp_path / paths.journal("Local", "Known"), [reply("0"), reply("0", "other"), reply("20"), failed])
    assert line(plan(), Target("Local", "Known"), tmp_path).infer == Size(22, "about")
    assert line(plan(), Target("Local", "Known@4"), tmp_path).infer == Size(3, "about")
    assert line(plan(), Target("Local", "Known"), tmp_path, fresh=True).infer == Size(24)


def test_answers_before_fresh_ones_were_asked_for_do_not_count(tmp_path: Path) -> None:
    journal = tmp_path / paths.journal("Local", "Known")
    journaled(journal, [reply("0"), reply("1")])
    start_epoch(journal, "Known")
    journaled(journal, [reply("0", epoch=1)])
    assert line(plan(), Target("Local", "Known"), tmp_path).infer == Size(23, "about")


def test_finished_predictions_leave_nothing_to_infer(tmp_path: Path) -> None:
    it, target = plan(), Target("Served", "Known")
    decoded(tmp_path, "Known", 24)
    predicted(tmp_path, it, target, ["Yes"] * 24)
    done = line(it, target, tmp_path)
    assert done.infer == NOTHING
    assert done.inference is not None
    assert done.inference.money() == NOTHING


def test_predictions_of_other_settings_are_not_finished(tmp_path: Path) -> None:
    it, target = plan(), Target("Served", "Known")
    journaled(tmp_path / paths.journal("Served", "Known"), [reply(str(row)) for row in range(20)])
    for changed in ({"generation": {"max_new_tokens": 9}}, {"prompt": {}}, {"settings": {}}):
        predicted(tmp_path, it, target, ["Yes"] * 24, **changed)
        assert line(it, target, tmp_path).infer == Size(24, "at most")


def test_predictions_are_not_finished_while_fresh_ones_are_owed(tmp_path: Path) -> None:
    it, target = plan(), Target("Served", "Known")
    journal = tmp_path / paths.journal("Served", "Known")
    predicted(tmp_path, it, target, ["Yes"] * 24)
    journal.mkdir(parents=True)
    start_epoch(journal, "Known")
    assert line(it, target, tmp_path).infer == Size(24)
    settle_epoch(journal, "Known")
    assert line(it, target, tmp_path).infer == NOTHING


def test_a_served_model_is_priced_by_its_prompts_and_then_by_its_replies(tmp_path: Path) -> None:
    it, target = plan(), Target("Served", "Known")
    questions = decoded(tmp_path, "Known", 24)
    bill = line(it, target, tmp_path).inference
    assert bill is not None
    shortest = sum(map(text_tokens, questions))
    assert 24 * 1_000 + shortest <= bill.prompt_tokens.number < 24 * 1_050 + shortest  # the frame is a short sentence
    assert (bill.prompt_tokens.kind, bill.completion_tokens) == ("about", Size(24 * 8, "at most"))

    tokens = [(100, 1), (300, 3)]
    replies = [
        reply(str(row), prompt_tokens=prompt, completion_tokens=completion)
        for row, (prompt, completion) in enumerate(tokens)
    ]
    journaled(tmp_path / paths.journal("Served", "Known"), replies)
    bill = line(it, target, tmp_path).inference
    assert bill == Bill(
        "Served", Size(22, "about"), Size(22 * 200, "about"), Size(22 * 2, "about"), Price(1000.0, 10_000.0)
    )
    assert bill.money() == Size(4.84, "about")


# Calls of judges


def test_before_there_are_answers_a_judge_may_have_to_read_all(tmp_path: Path) -> None:
    judging = line(plan("paid"), Target("Local", "Known", "paid"), tmp_path).judging
    assert judging is not None
    assert judging.calls == Size(24, "at most")
    assert judging.completion_tokens == Size(2_400, "at most")
    assert 24 * 300 < judging.prompt_tokens.number < 24 * 1_000
    twice = line(plan("paid", self_agreement=0.05), Target("Local", "Known", "paid"), tmp_path).judging
    assert twice is not None
    assert twice.calls == Size(26, "at most")  # 24 and 1.2


def test_what_rules_leave_open_and_the_journal_does_not_know_is_counted_exactly(tmp_path: Path) -> None:
    it, target = plan("paid"), Target("Local", "Known", "paid")
    questions = decoded(tmp_path, "Known", 8)
    predicted(tmp_path, it, target, ["Yes", OPEN, "No", OPEN, OPEN, "", OPEN, "Yes"])
    first = line(it, target, tmp_path).judging
    assert first is not None
    assert first.calls == Size(4)

    judging, entry = load_judging("yes_no"), it.registry.judges["paid"]
    rows = [{"question": questions[row], "raw": OPEN} for row in (1, 3)]
    asking = resolve("paid", entry).asking()
    prompts = judging.prompts(pa.Table.from_pylist(rows).to_pandas())
    cases = [Case(str(row), prompt or "", shown) for row, prompt, shown in zip((1, 3), prompts, rows, strict=True)]
    folder = tmp_path / paths.judge_journal("Local", "Known", "paid")
    texts = ['{"answer": "Yes"}', "I would not know."]  # a verdict; a reply that is none, and is asked again
    replies = [
        reply(
            case.index, question(case, 0, judging, asking).key, prediction=text, prompt_tokens=90, completion_tokens=6
        )
        for case, text in zip(cases, texts, strict=True)
    ]
    journaled(folder, replies)
    then = line(it, target, tmp_path).judging
    assert then is not None
    assert then.calls == Size(3)
    again = question(cases[1], 1, judging, asking).messages[0]["text"]
    unasked = text_tokens(prompts[0] or "")  # all questions are equally long
    assert then.prompt_tokens == Size(text_tokens(again) + 2 * unasked, "about")
    assert then.completion_tokens == Size(18, "about")


def test_a_judge_that_only_its_server_names_is_counted_by_index(tmp_path: Path) -> None:
    it, target = plan("unnamed"), Target("Local", "Known", "unnamed")
    decoded(tmp_path, "Known", 4)
    predicted(tmp_path, it, target, ["Yes", OPEN, OPEN, OPEN])
    journaled(tmp_path / paths.judge_journal("Local", "Known", "unnamed"), [reply("2")])
    judging = line(it, target, tmp_path).judging
    assert judging is not None
    assert judging.calls == Size(2, "about")


def judged(work_dir: Path, it: Plan, target: Target, **changed: object) -> None:
    """Write verdicts as the judge stage does: of a judge that has said all it has to say, or changed."""
    judging, entry = load_judging("yes_no"), it.registry.judges[target.judge]
    assert isinstance(entry, JudgeEndpointEntry)
    told = {
        "identity": f"endpoint:{entry.served_model or 'found'}@{entry.revision}",
        "settings": answer_settings(entry),
        "wording": judging.VERSION,
        "judge_error": 0,
        "self_agreement": None,
    }
    file = work_dir / paths.judgements(target.model, target.dataset, target.judge)
    write_judgements([], {}, {}, told | changed, file)


def judge_calls(it: Plan, target: Target, work_dir: Path) -> Size:
    judging = line(it, target, work_dir).judging
    assert judging is not None
    return judging.calls


def with_judge(it: Plan, name: str, **changed: object) -> Plan:
    judge = it.registry.judges[name].model_copy(update=changed)
    return Plan(replace(it.registry, judges={**it.registry.judges, name: judge}), it.config, it.choice)


def test_a_judge_that_has_judged_all_is_asked_nothing(tmp_path: Path) -> None:
    it, target = plan("paid"), Target("Local", "Known", "paid")
    decoded(tmp_path, "Known", 4)
    predicted(tmp_path, it, target, ["Yes", OPEN, OPEN, OPEN])
    judged(tmp_path, it, target)
    assert judge_calls(it, target, tmp_path) == NOTHING


@pytest.mark.parametrize("changed", [{"revision": "later"}, {"served_model": "another"}, {"temperature": None}])
def test_another_state_of_a_judge_is_asked_about_all_again(changed: dict[str, object], tmp_path: Path) -> None:
    it, target = plan("paid"), Target("Local", "Known", "paid")
    decoded(tmp_path, "Known", 4)
    predicted(tmp_path, it, target, ["Yes", OPEN, OPEN, OPEN])
    judged(tmp_path, it, target)
    assert judge_calls(with_judge(it, "paid", **changed), target, tmp_path) == Size(3)


def test_another_state_of_a_judge_that_only_its_server_names_is_asked_again(tmp_path: Path) -> None:
    it, target = plan("unnamed"), Target("Local", "Known", "unnamed")
    decoded(tmp_path, "Known", 4)
    predicted(tmp_path, it, target, ["Yes", OPEN, OPEN, OPEN])
    replies = [reply(str(row)) for row in range(4)]
    journaled(tmp_path / paths.judge_journal("Local", "Known", "unnamed"), replies)
    judged(tmp_path, it, target)
    assert judge_calls(it, target, tmp_path) == NOTHING
    assert judge_calls(with_judge(it, "unnamed", revision="later"), target, tmp_path) == Size(3, "about")


def test_where_rules_stood_in_for_a_judge_it_will_be_asked(tmp_path: Path) -> None:
    it, target = plan("paid"), Target("Local", "Known", "paid")
    decoded(tmp_path, "Known", 4)
    predicted(tmp_path, it, target, ["Yes", OPEN, OPEN, OPEN])
    judged(tmp_path, it, target, fallback="it does not answer")
    assert judge_calls(it, target, tmp_path) == Size(3)


def test_second_verdicts_behind_a_run_without_any_are_counted(tmp_path: Path) -> None:
    it, target = plan("paid"), Target("Local", "Known", "paid")
    decoded(tmp_path, "Known", 4)
    predicted(tmp_path, it, target, ["Yes", OPEN, OPEN, OPEN])
    judged(tmp_path, it, target)
    assert judge_calls(plan("paid", self_agreement=1), target, tmp_path) == Size(6)  # the journal has none of the first


def test_errors_that_are_no_longer_accepted_are_asked_again(tmp_path: Path) -> None:
    target = Target("Local", "Known", "paid")
    decoded(tmp_path, "Known", 4)
    predicted(tmp_path, plan("paid"), target, ["Yes", OPEN, OPEN, OPEN])
    judged(tmp_path, plan("paid"), target, judge_error=3)
    assert judge_calls(plan("paid", max_failures=3), target, tmp_path) == NOTHING
    assert judge_calls(plan("paid"), target, tmp_path) == Size(3)


def test_a_grader_reads_every_answer(tmp_path: Path) -> None:
    it, target = plan("paid"), Target("Local", "Graded", "paid")
    decoded(tmp_path, "Graded", 5)
    predicted(tmp_path, it, target, ["A dog.", "Yes", "Three of them", " ", "A cat."])
    judging = line(it, target, tmp_path).judging
    assert judging is not None
    assert judging.calls == Size(4)


def test_a_judge_without_a_price_costs_nobody_knows_what(tmp_path: Path) -> None:
    judging = line(plan("free"), Target("Local", "Known", "free"), tmp_path).judging
    assert judging is not None
    assert judging.calls == Size(24, "at most")
    assert judging.money() == UNKNOWN


def test_a_limit_on_a_judge_without_a_price_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VlmakeError, match="max_judge_cost needs the price of judge 'free'"):
        limits(plan("free", max_judge_cost=1), ["free"], tmp_path)
    assert limits(plan("free"), ["free"], tmp_path) == []


def test_damaged_files_are_left_to_the_run(tmp_path: Path) -> None:
    it, target = plan("paid"), Target("Served", "Known", "paid")
    journaled(tmp_path / paths.journal("Served", "Known"), [reply("0")])
    predicted(tmp_path, it, target, ["Yes", OPEN])
    samples = tmp_path / paths.samples("Known")
    samples.parent.mkdir(parents=True)
    samples.write_bytes(b"no parquet")
    os.utime(samples, (0, 0))
    found = line(it, target, tmp_path)
    assert found.judging is not None
    assert (found.infer, found.judging.calls) == (NOTHING, Size(24, "at most"))
    (tmp_path / paths.predictions("Served", "Known")).write_bytes(b"nor this")
    found = line(it, target, tmp_path)
    assert found.inference is not None
    assert found.infer == Size(24, "at most")
    assert found.inference.prompt_tokens.and_unknown


# What is wanted


def test_parts_are_wanted_one_by_one() -> None:
    wanted = targets_of(plan("paid"), [("Local", "Whole@5")], [], scored=True)
    assert wanted == [Target("Local", "Known@5", "paid"), Target("Local", "Unknown@5", "paid")]
    assert targets_of(plan("paid"), [("Local", "Known")], [], scored=False) == [Target("Local", "Known")]


def test_a_file_says_who_judges() -> None:
    files = [paths.predictions("Local", "Known"), paths.score_csv("Local", "Unknown", "free")]
    pairs = [("Local", "Known"), ("Local", "Unknown")]
    wanted = [Target("Local", "Known"), Target("Local", "Unknown", "free")]
    assert targets_of(plan("paid"), pairs, files, scored=True) == wanted


def test_two_judges_of_the_same_answers_take_one_inference(tmp_path: Path) -> None:
    targets = [Target("Local", "Known", "paid"), Target("Local", "Known", "free")]
    assert [found.infer for found in preview(plan(), targets, tmp_path)] == [Size(24), NOTHING]


# What is printed


def test_the_tables_fit_80_columns_and_tell_the_limit(tmp_path: Path) -> None:
    it = plan("paid", max_judge_cost=0.5)
    spent = [reply(str(row), prompt_tokens=100, completion_tokens=10) for row in range(2)]
    journaled(tmp_path / paths.judge_journal("Elsewhere", "Other", "paid"), spent)  # 0.2 each
    targets = [Target("Served", "Known", "paid"), Target("Local", "Graded", "paid"), Target("Local", "Unknown")]
    lines = preview(it, targets, tmp_path)
    console = Console(width=80, record=True, file=(tmp_path / "shown").open("w", encoding="utf-8"))
    show(lines, limits(it, ["paid", "paid"], tmp_path), console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    rows = [row.split() for row in text.splitlines()]
    assert ["Served", "Known", "24", "≤24"] in [row[:4] for row in rows]
    assert ["paid", "≤34", "≤3,400", "≤340", "≤6.80"] in rows
    assert ["total", "34+?", "≤34"] in [row[:3] for row in rows]
    said = " ".join(text.split())
    assert "Judge paid has cost 0.40 here so far, ≤6.80 are to come, and its limit is 0.50" in said


def test_of_many_targets_those_with_something_to_do_are_shown(tmp_path: Path) -> None:
    nothing = [Line(Target("Local", f"Done{place}"), NOTHING, None, None) for place in range(300)]
    console = Console(width=80, record=True, file=(tmp_path / "shown").open("w", encoding="utf-8"))
    show([*nothing, Line(Target("Local", "Known"), Size(24), None, None)], [], console)
    text = console.export_text()
    assert "Known" in text
    assert "Done" not in text
    assert "300 more" in text


# The limit on money


def test_what_a_judge_cost_on_other_answers_counts_towards_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    judging = load_judging("yes_no")

    def judge(judged: str, most: float, url: str) -> int:
        """Judge three answers of a model; return how many replies there are about it then."""
        priced = {"price": {"input": 1000.0, "output": 0.0}}  # 0.1 a reply of 100 tokens
        entry = JudgeEndpointEntry.model_validate(
            {"api_base": url, "served_model": "judge-1", "api_key": None, **priced}
        )
        rows = [{"question": f"Is {judged} a dog in picture {row}?", "raw": OPEN} for row in range(3)]
        prompts = judging.prompts(pa.Table.from_pylist(rows).to_pandas())
        cases = [Case(str(row), prompts[row] or "", rows[row]) for row in range(3)]
        journal = Path(paths.judge_journal(judged, "Known", "local"))
        spec = resolve("local", entry, most)
        try:
            with JudgeAtHand(spec, None) as opened:
                decide(cases, [], judging, spec, journal, opened, judged)
        except EndpointStoppedError as error:
            assert f"{most:g} (max_cost, max_judge_cost), would be passed" in str(error)
        return sum(len(file.read_text(encoding="ascii").splitlines()) for file in journal.glob("*.jsonl"))

    with running(judges=True) as server:
        assert judge("one", 0.35, server.url) == 3
        assert judge("another", 0.35, server.url) == 0
        assert judge("another", 0.55, server.url) == 2
        assert judge("another", 0.6, server.url) == 3
        calls = server.stats()["calls"]
    assert sum(count for text, count in calls.items() if OPEN in text) == 6
