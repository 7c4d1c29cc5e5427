"""Verdicts and what rules read → answers."""

from collections.abc import Sequence

from vlmake.extract.answer import Extraction
from vlmake.judges.base import Judging
from vlmake.judges.verdicts import Judgements


def settle(
    indices: Sequence[str], answers: Sequence[Extraction], judgements: Judgements, judging: Judging, protocol: str
) -> list[Extraction]:
    """Return the answers with the judge's in place of those that rules left open.

    An answer that rules found stays, whatever the judge said of it for another protocol's sake. Where the judge gave
    no verdict the answer stays open, and its rule says why.
    """
    return [
        answer if answer.found else _settled(index, answer, judgements, judging, protocol)
        for index, answer in zip(indices, answers, strict=True)
    ]


def _settled(index: str, answer: Extraction, judgements: Judgements, judging: Judging, protocol: str) -> Extraction:
    judgement = judgements.rows.get(index)
    if judgement is None:
        return answer
    if judgement["verdict"] is None:
        return answer._replace(rule=judgement["rule"])
    return Extraction(judging.answer(judgement["verdict"], protocol), judgement["rule"])
