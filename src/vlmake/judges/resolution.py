"""Which judge a run has: the one that was named, the one an earlier run here settled on, or what there is a key for.

``auto`` is settled once per work directory and kept in ``judge.lock``, so that a shell without the key never replaces
a judged score by another one. Only naming a judge explicitly changes the lock.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from vlmake import paths
from vlmake.endpoints.address import OPENAI, chat_url
from vlmake.endpoints.keys import variable_value
from vlmake.errors import VlmakeError
from vlmake.judges.registry import judging_of
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.judge_entries import AUTO, EXACT, OWN, WAYS, Judge, JudgeEndpointEntry
from vlmake.registry.loading import Registry
from vlmake.store import canonical_json, write_text

LOCAL = "LOCAL_LLM"
"""VLMEvalKit's variable with the name of a local judge, and the registered judge behind it."""

_KEY = "OPENAI_API_KEY"
_ADDRESSES = ("OPENAI_API_BASE", "OPENAI_BASE_URL")


@dataclass(frozen=True)
class Choice:
    """Who judges in a run: ``exact`` (nobody), ``own`` or a registered judge, and why.

    ``served_model`` is the model's id, where the judge's entry leaves that to a variable.
    """

    judge: str = EXACT
    because: str = "nothing else was asked for"
    served_model: str = ""

    def judge_of(self, entry: DatasetEntry) -> str | None:
        """Return who judges a benchmark; None for nobody."""
        if self.judge == EXACT or entry.metric is None or entry.dataset is not None or not entry.answers:
            return None
        if judging_of(entry.metric) is None:
            return None
        return entry.judge if self.judge == OWN else self.judge

    def said(self) -> str:
        """Return the line that tells it."""
        name = {EXACT: "exact matching", OWN: "each benchmark's own"}.get(self.judge, self.judge)
        model = f" ({self.served_model})" if self.served_model else ""
        return f"judge: {name}{model}; {self.because}"


def choose(configured: str, registry: Registry, work_dir: Path, *, anew: bool = False) -> Choice:
    """Return who judges; ``configured`` is ``auto``, ``exact``, ``own`` or a judge's name.

    ``anew`` lets ``auto`` pass over what an earlier run settled.

    Raises VlmakeError for an unknown name and for a damaged lock.
    """
    if configured != AUTO:
        return _named(configured, registry, work_dir, "it was asked for by name")
    lock = work_dir / paths.JUDGE_LOCK
    if lock.is_file() and not anew:
        locked = _read(lock)
        try:
            named = _named(locked.judge, registry, work_dir, f"settled in {paths.JUDGE_LOCK}; --judge changes it")
        except VlmakeError as error:
            raise VlmakeError(f"{paths.JUDGE_LOCK}: {error}; name another with --judge") from None
        return named if not locked.served_model else Choice(named.judge, named.because, locked.served_model)
    if variable_value(LOCAL, work_dir):
        return _named(LOCAL, registry, work_dir, f"{LOCAL} is set")
    if variable_value(_KEY, work_dir):
        return Choice(OWN, f"{_KEY} is set")
    return Choice(EXACT, f"neither {_KEY} nor {LOCAL} is set")


def keep(choice: Choice, work_dir: Path) -> None:
    """Write the lock, if it says something else."""
    lock = work_dir / paths.JUDGE_LOCK
    text = canonical_json({"judge": choice.judge, "served_model": choice.served_model}) + "\n"
    if not lock.is_file() or lock.read_text(encoding="utf-8") != text:
        write_text(lock, text)


def entry_of(judge: str, choice: Choice, registry: Registry, work_dir: Path) -> Judge:
    """Return a judge's entry with what it leaves to variables: address, key and the model's id."""
    entry = registry.judge(judge)
    if not isinstance(entry, JudgeEndpointEntry):
        return entry
    given = entry.api_base or next(filter(None, (variable_value(name, work_dir) for name in _ADDRESSES)), None)
    if given is None and entry.served_model_variable is not None:
        raise VlmakeError(f"judge '{judge}': set OPENAI_API_BASE to the address of the server that has the model")
    base = given or OPENAI
    try:
        chat_url(base)
    except VlmakeError as error:
        raise VlmakeError(f"judge '{judge}': {error}") from None
    has_key = entry.api_key is not None and variable_value(entry.api_key, work_dir)
    needs_key = entry.api_key != _KEY or base == OPENAI  # a local server asks for none
    return entry.model_copy(
        update={
            "api_base": base,
            "served_model": entry.served_model or _served_model(judge, entry, choice, work_dir),
            "api_key": entry.api_key if has_key or needs_key else None,
        }
    )


def _served_model(judge: str, entry: JudgeEndpointEntry, choice: Choice, work_dir: Path) -> str:
    """Return the model that a variable names; of the judge that was settled, the one that was settled with it."""
    if entry.served_model_variable is None:
        return ""
    settled = choice.served_model if choice.judge == judge else ""
    return settled or variable_value(entry.served_model_variable, work_dir) or ""


def _named(judge: str, registry: Registry, work_dir: Path, because: str) -> Choice:
    if judge in WAYS:
        return Choice(OWN if judge == OWN else EXACT, because)
    name = registry.resolve_judge(judge)
    entry = registry.judges[name]
    variable = entry.served_model_variable if isinstance(entry, JudgeEndpointEntry) else None
    return Choice(name, because, (variable_value(variable, work_dir) or "") if variable else "")


def _read(lock: Path) -> Choice:
    try:
        values = json.loads(lock.read_text(encoding="utf-8"))
        return Choice(str(values["judge"]), "", str(values.get("served_model", "")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise VlmakeError(f"{lock} is damaged: delete it, or name a judge with --judge") from None
