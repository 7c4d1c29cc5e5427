"""``vlmake``: the front door. A command's module is imported only when that command runs."""

import sys
from importlib import import_module

import click

from vlmake import __version__
from vlmake.errors import did_you_mean
from vlmake.runs.program import run_program

COMMANDS = {
    "run": "Evaluate models on datasets; goes on after any crash by the same command.",
    "score": "Score predictions that exist already; no model needed.",
    "prompts": "Print what a model would be asked, one JSON line a sample.",
    "export": "Write predictions as a spreadsheet or table for people: xlsx, csv, tsv, json, jsonl.",
    "import": "Let finished predictions of this or another tool stand as a model.",
    "new-dataset": "Make a benchmark's TSV from images and a table, or check one.",
    "list": "List the registered models or datasets.",
    "audit": "Check answer extraction by hand: draw a sheet to label, turn labels into agreement and kappa.",
    "certify": "Compare a converted model with the code it was published with.",
    "doctor": "Check Python, disk, devices, torch and the registered files.",
}

_MODULES = {
    "import": "import_predictions",
    "new-dataset": "new_dataset",
}  # where a command's name cannot be its module's


class _Commands(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"vlmake.commands.{_MODULES.get(cmd_name, cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(
    cls=_Commands,
    help="Evaluate vision-language models: every number is a file that knows what made it.\n\n"
    "Options and targets without a command mean `vlmake run`.",
)
@click.version_option(__version__)
def vlmake() -> None:
    """Evaluate vision-language models."""


def main() -> None:
    """Run the command line of this process and exit."""
    words = sys.argv[1:]
    own = {"--help", "--version"}
    if words and words[0] not in own | set(COMMANDS):
        if not words[0].startswith("-") and "/" not in words[0]:
            print(f"vlmake: unknown command '{words[0]}'{did_you_mean(words[0], COMMANDS)}", file=sys.stderr)
            sys.exit(2)
        words = ["run", *words]
    run_program("", vlmake, words)
