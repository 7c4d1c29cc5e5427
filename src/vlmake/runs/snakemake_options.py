"""Snakemake's own options, looked at before anything is done: what it would refuse becomes one line, not its usage."""

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from difflib import get_close_matches

from vlmake.errors import VlmakeError

# What nearly everybody passes and nothing can be wrong with. Snakemake's parser takes a second to import.
_PLAIN = re.compile(
    r"(?: (?:(?:--cores|--jobs|-c|-j)[ =]?(?:all|[1-9][0-9]*)|(?:--resources|--res)(?: \w+=[0-9]+)+"
    r"|-n|-np|-p|--dry-run|--dryrun|-F|--forceall|-k|--keep-going))*"
)


def check_options(options: Sequence[str]) -> None:
    """Raise VlmakeError for options that Snakemake would not take, and for words that are none.

    Args:
        options: All that is to be handed to Snakemake, without targets.
    """
    if _PLAIN.fullmatch("".join(f" {word}" for word in options)):
        return
    from snakemake import cli

    said = io.StringIO()
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(said):
            _, parsed = cli.parse_args(list(options))
    except SystemExit as ended:
        if ended.code:
            raise VlmakeError(_reason(said.getvalue())) from None
        return  # --help and the like: Snakemake's own answer
    except Exception as error:  # its converters of values raise whatever they meet
        raise VlmakeError(f"Snakemake cannot read '{' '.join(options)}': {error}") from None
    if parsed.targets:
        raise VlmakeError(
            f"'{parsed.targets[0]}' is neither an option nor a result file: name models with --model, datasets with"
            " --data, files as results/MODEL/DATASET_score.csv"
        )
    if 0 in (parsed.cores, parsed.jobs):
        raise VlmakeError("with no core at all nothing can run: give --cores 1 or more")


def _reason(said: str) -> str:
    """Return what argparse says in the end, below its usage."""
    *usage, last = said.strip().splitlines() or ["no reason given"]
    reason = last.rpartition("error: ")[2]
    if (unknown := re.fullmatch(r"unrecognized arguments: (\S+).*", reason)) is None:
        return reason.removeprefix("Error: ")
    known = ["--version", *re.findall(r"--[a-z-]+", " ".join(usage))]
    close = get_close_matches(unknown[1], known, n=1, cutoff=0.8)
    return f"unknown option '{unknown[1]}'" + (f"; did you mean '{close[0]}'?" if close else "")
