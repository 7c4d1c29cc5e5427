"""The words of a ``vlmake run`` command line, in any order, sorted into options, Snakemake's options and targets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vlmake import paths
from vlmake.errors import VlmakeError
from vlmake.registry.dataset_entries import DatasetEntry

# VLMEvalKit users write: --data MME POPE
_SEVERAL_VALUES = {"--model": "models", "--data": "datasets", "--dataset": "datasets"}


@dataclass(frozen=True)
class Passed:
    """What is handed to Snakemake: its own options in the order given, and the targets."""

    options: tuple[str, ...]
    targets: tuple[str, ...]


def spread_values(words: Sequence[str]) -> list[str]:
    """Turn ``--data A B`` into ``--data A --data B``, so that a usual option parser can read it.

    Raises VlmakeError where such an option has no value: the configured names are not what was meant.
    """
    spread: list[str] = []
    place = 0
    while place < len(words) and words[place] != "--":
        option, equals, value = words[place].partition("=")
        place += 1
        if option not in _SEVERAL_VALUES:
            spread.append(words[place - 1])
            continue
        values = [value] if equals else []
        while place < len(words) and not words[place].startswith("-") and not is_target(words[place]):
            values.append(words[place])
            place += 1
        if not all(values or [""]):
            raise VlmakeError(f"{option} names nothing; give it names (see `vlmake list {_SEVERAL_VALUES[option]}`)")
        spread += [word for name in values for word in (option, name)]
    return [*spread, *words[place:]]


def refuse_parted(dataset: str, entry: DatasetEntry) -> None:
    """Raise VlmakeError for a benchmark made of others, which has no samples of its own."""
    if entry.parts:
        limit = paths.parse_dataset(dataset).limit
        parts = ", ".join(part if limit is None else f"{part}@{limit}" for part in entry.parts)
        raise VlmakeError(f"dataset '{dataset}' is made of parts, and its samples are theirs: name one of {parts}")


def is_target(word: str) -> bool:
    """Tell whether a word names a file of the workflow."""
    return paths.looks_like_target(word)


def split_targets(words: Iterable[str]) -> Passed:
    """Take the targets out of Snakemake's words, where an option such as ``--resources`` would swallow them."""
    options: list[str] = []
    targets: list[str] = []
    after_dashes = False
    for word in words:
        if word == "--" and not after_dashes:
            after_dashes = True
        elif after_dashes or is_target(word):
            targets.append(word)
        else:
            options.append(word)
    return Passed(tuple(options), tuple(targets))


def has_option(options: Iterable[str], *names: str) -> bool:
    """Tell whether one of the options is there, as ``--name value``, ``--name=value`` or ``-nvalue``."""
    return any(
        word == name or word.startswith(f"{name}=") or (len(name) == 2 and word.startswith(name) and word[2:].isalnum())
        for word in options
        for name in names
    )


def option_values(options: Sequence[str], *names: str) -> list[str]:
    """Return the values of an option that takes several: the words up to the next option."""
    values: list[str] = []
    inside = False
    for word in options:
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            inside = name in names and not equals
            values += [value] if name in names and equals else []
        elif inside:
            values.append(word)
    return values


def with_config(options: Sequence[str], values: Sequence[str]) -> list[str]:
    """Add ``key=value`` words to Snakemake's ``--config``, which may be given only once."""
    if not values:
        return list(options)
    for name in ("--config", "-C"):
        if name in options:
            place = options.index(name) + 1
            return [*options[:place], *values, *options[place:]]
    return [*options, "--config", *values]
