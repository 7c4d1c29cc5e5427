"""Stages that have two programs take the same options for the same files, so that a rule can be written once."""

import importlib.util

import click
import pytest

from vlmake import paths


def options(program: str) -> dict[str, tuple[list[str], str, bool]]:
    """Return what a stage program takes: by parameter, its spellings, its help and whether it must be given."""
    spec = importlib.util.spec_from_file_location(f"stage_{program}", paths.scripts() / f"{program}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    command = next(value for value in vars(module).values() if isinstance(value, click.Command))
    return {
        str(option.name): (option.opts, option.help or "", option.required)
        for option in command.params
        if isinstance(option, click.Option)
    }


@pytest.mark.parametrize(
    ("plain", "by_class", "shared", "own"),
    [
        ("decode", "decode_class", {"registries", "lmu_data", "dataset", "source", "samples", "images"}, {"log"}),
        (
            "score",
            "score_class",
            {"spec", "predictions", "judged", "table", "detail"},
            {"lmu_data", "dataset", "log", "registries", "model"},
        ),
    ],
)
def test_a_class_is_called_as_its_plain_sibling(plain: str, by_class: str, shared: set[str], own: set[str]) -> None:
    one, other = options(plain), options(by_class)
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}
    assert all(one[name][2] for name in shared)
    assert set(other) == shared | own


@pytest.mark.parametrize("program", ["download", "decode", "decode_class", "checkpoint", "infer", "score_class"])
def test_every_stage_is_told_the_registry_alike(program: str) -> None:
    assert options(program)["registries"] == (["--registry"], "Registry folder; repeatable.", True)
