"""Every submission format: the module that writes it, its ending, and the server or people that want it."""

import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from vlmake.errors import VlmakeError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from vlmake.submissions.rows import Gaps


class Entry(NamedTuple):
    """Where a format is written, how its files end, and where they are handed in."""

    module: str
    ending: str
    server: str


# Sources: the benchmarks' own pages, and what VLMEvalKit tells its users. The last three have no server: the pages say
# to whom the file is sent by mail.
SUBMISSIONS = {
    "mmbench": Entry("vlmake.submissions.mmbench", "xlsx", "https://mmbench.opencompass.org.cn/mmbench-submission"),
    "docvqa": Entry("vlmake.submissions.docvqa", "json", "https://rrc.cvc.uab.es/?ch=17"),
    "mmmu": Entry("vlmake.submissions.mmmu", "json", "https://eval.ai/web/challenges/challenge-page/2179/overview"),
    "mmt": Entry("vlmake.submissions.mmt", "tsv", "https://eval.ai/web/challenges/challenge-page/2328/overview"),
    "a_bench": Entry("vlmake.submissions.letters", "xlsx", "https://github.com/Q-Future/A-Bench (by mail)"),
    "q_bench": Entry("vlmake.submissions.letters_json", "json", "https://github.com/Q-Future/Q-Bench (by mail)"),
    "aesbench": Entry("vlmake.submissions.letters", "xlsx", "https://github.com/yipoh/AesBench (by mail)"),
}


class Writer(Protocol):
    """What a format's module offers."""

    def write(self, samples: "pd.DataFrame", predictions: "pd.DataFrame", target: "Path") -> "Gaps":
        """Write the file atomically, one row a sample in the samples' order; return what is missing from it.

        Equal answers give equal bytes. Rows are as the score stage gets them (``vlmake.scoring.protocols.score``).
        Raises VlmakeError for samples that the format cannot name.
        """


def submission_entry(name: str) -> Entry:
    """Return the registry's line for a format; VlmakeError when there is none."""
    if name not in SUBMISSIONS:
        known = ", ".join(SUBMISSIONS)
        raise VlmakeError(f"unknown submission '{name}'{did_you_mean(name, SUBMISSIONS)} (known: {known})")
    return SUBMISSIONS[name]


def load_writer(name: str) -> Writer:
    """Import and return the module that writes a format."""
    return cast(Writer, importlib.import_module(submission_entry(name).module))
