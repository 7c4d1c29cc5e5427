"""Build the environment of a lock file; write down its interpreter and the lock's digest."""

from pathlib import Path

import click

from vlmake.environments import markers
from vlmake.registry.loading import load_registry
from vlmake.runs.program import run_program
from vlmake.runs.stage_options import FILE, REGISTRY


@click.command()
@REGISTRY
@click.option("--name", required=True, help="The environment: its lock file's name.")
@click.option("--lock", required=True, help="The start of its lock's digest.")
@click.option("--marker", type=FILE, required=True, help="Written: interpreter and digest.")
def build(registries: tuple[Path, ...], name: str, lock: str, marker: Path) -> None:
    """Build the environment of a lock file; write down its interpreter and the lock's digest."""
    entries = load_registry(registries).models.values()
    run_ins = (entry.run_in for entry in entries if entry.run_in)
    markers.make(markers.named_lock(run_ins, name, lock), marker)


if __name__ == "__main__":
    run_program("environment", build)
