"""What a benchmark's entry may say, every key with its meaning."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

from vlmake.inference.prompts import CHOICES, OPTION, ImageOrder, Inserts, Items, Piece, Template, TextParts, places
from vlmake.registry.entry import Entry, Texts, names_places
from vlmake.registry.tasks import Task


class ChosenText(Entry):
    """A text that a column of the row chooses."""

    by: str = Field(description="The column.")
    cases: Mapping[str, str] = Field({}, description="Text by what the cell is, with * for any text; the first counts.")
    otherwise: str | None = Field(None, alias="else", description="Text for any other cell; without it an error.")
    absent: str | None = Field(None, description="Text for an empty cell or no such column; `else` if not given.")
    separator: str | None = Field(None, min_length=1, description="Between values of a cell that each have a text.")
    join: str = Field("", description="Between the texts of such values.")

    def piece(self) -> Piece:
        """Return it as prompts are made with it."""
        return Piece(
            by=self.by,
            cases=tuple(self.cases.items()),
            otherwise=self.otherwise,
            absent=self.absent,
            separator=self.separator,
            join=self.join,
        )


class ChosenOrder(ChosenText):
    """An image order that a column of the row chooses."""

    cases: Mapping[str, ImageOrder] = Field({}, description="Order by what the cell is.")
    otherwise: ImageOrder | None = Field(None, alias="else", description="Order for any other cell.")
    absent: ImageOrder | None = Field(None, description="Order for an empty cell; `else` if not given.")


Order = Annotated[
    Annotated[ImageOrder, Tag("order")] | Annotated[ChosenOrder, Tag("column")],
    Discriminator(lambda value: "order" if isinstance(value, str) else "column"),
]
"""One image order for all rows, or the column that chooses it."""


class ListedOptions(Entry):
    """The column that lists the options."""

    column: str = Field(description="The column.")
    pattern: str | None = Field(None, description="Regular expression with one group; else it is a written list.")

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"is no regular expression ({error})") from None
        if groups != 1:
            raise ValueError("needs one group, around an option")
        return pattern


class InsertedParts(Entry):
    """Parts of another cell that stand in for marks in the question."""

    column: str = Field(description="The column.")
    separator: str = Field(min_length=1, description="What stands between two parts.")
    mark: str = Field(description="What is replaced, with {number} (from 1) or {number0} (from 0) of the part.")

    @field_validator("mark")
    @classmethod
    def _numbered(cls, mark: str) -> str:
        if "{number}" not in mark and "{number0}" not in mark:
            raise ValueError("has no place for {number}")
        return mark


class DatasetEntry(Entry):
    """One benchmark: where its TSV comes from, how it is asked and how it is scored."""

    description: str = Field("", description="One line for `vlmake list datasets`.")
    url: Texts = Field((), description="http(s) or file URLs of the TSV; mirrors are tried in order.")
    md5: Texts = Field((), description="Every accepted md5 of the TSV: releases differ.")
    path: str | None = Field(None, description="A TSV on disk, used in place instead of a download.")
    source: str | None = Field(None, description="hf:REPO[@REVISION][:CONFIG][:SPLIT], a table of parquet files.")
    columns: Mapping[str, str] = Field({}, description="Column of the TSV: the `source`'s column that it comes from.")
    first_option: Literal[0, 1] | None = Field(
        None, description="Number of the first option where a `source`'s answers are numbers of options."
    )
    dataset: str | None = Field(None, description="my_module:MyDataset, a dataset class: see `vlmake.vlmeval`.")
    python_path: str | None = Field(None, description="Folder of the class's module; the YAML file's own if absent.")
    parts: Texts = Field((), description="Benchmarks that this one is made of: each is run, their tables are stacked.")
    rows: int | None = Field(None, ge=1, description="Number of rows, so that shards are known before the download.")
    rows_per_shard: int = Field(500, ge=1, description="How many rows one inference job takes.")
    images: Literal["one", "several"] | None = Field(None, description="Images per question, where it is known.")
    groups: Literal["image", "pair", "rotation", "figure"] = Field(
        "image",
        description="Which rows hang together: of one image, pair, question or figure.",
    )
    input: Literal["image", "video", "document", "conversation", "text"] = Field(
        "image", description="What a question is about; only images can be run so far."
    )
    task: Task = Field(description="What is answered: yes_no, multiple_choice, vqa or caption.")
    pieces: Mapping[str, ChosenText] = Field(
        {}, description="Texts that the row's columns choose; {name} puts one into the prompt or a later piece."
    )
    image_order: Order = Field("first", description="Where images go, or what a column says of it.")
    prompt: str | None = Field(None, description="Frame around the question; the task's own if absent.")
    choices: str = Field(CHOICES, description="Block around the {options}, left out where a row has none.")
    option: str = Field(OPTION, description="One option's line, of {letter} and {text}.")
    options_from: ListedOptions | None = Field(None, description="The column with all options, instead of A, B, ….")
    image_mark: str | None = Field(None, description="What marks an image's place, with {number} or {number0}.")
    image_optional: bool = Field(False, description="Whether rows without an image are asked, as text alone.")
    text_parts: TextParts = Field("as_written", description="Whether texts between images lose blanks.")
    replace: Mapping[str, str] = Field({}, description="Texts of the prompt that become others, one after the other.")
    inserts: InsertedParts | None = Field(None, description="Parts of another cell that go into the question.")
    question: str | None = Field(None, description="What is asked where the TSV has no column `question`.")
    prompt_source: Literal["vlmevalkit", "assumed"] = Field(
        "vlmevalkit", description="assumed: VLMEvalKit's prompt is not known, or takes more than an entry can say."
    )
    metric: str | None = Field(None, description="Name of the metric that makes the table.")
    scoring: Literal["none"] | None = Field(None, description="none: no metric is known; predictions are all there is.")
    answers: bool = Field(True, description="Whether the TSV has the right answers.")
    submission: str | None = Field(None, description="The file that the server with the hidden answers wants.")
    judge: str | None = Field(None, description="The LLM judge that VLMEvalKit takes when none is named.")
    max_new_tokens: int | None = Field(None, ge=1, description="Longest answer; the model's own limit if absent.")
    aliases: Texts = Field((), description="Other names under which this benchmark is known.")

    _option = field_validator("option")(names_places("{text}"))
    _choices = field_validator("choices")(names_places("{options}"))

    @field_validator("pieces")
    @classmethod
    def _pieces_in_order(cls, pieces: Mapping[str, ChosenText]) -> Mapping[str, ChosenText]:
        """Refuse a piece that names itself or a later one: their texts would never end."""
        known = list(pieces)
        for number, (name, piece) in enumerate(pieces.items()):
            named = [place for text in _texts_of(piece) for place in places(text)]
            if later := [place for place in named if place in known[number:]]:
                raise ValueError(f"'{name}' names '{later[0]}', which does not come before it")
        return pieces

    @field_validator("prompt")
    @classmethod
    def _asks(cls, prompt: str | None, given: ValidationInfo) -> str | None:
        """Refuse a frame that would not ask, unless it says that it is a prompt by itself or has images in a column."""
        pieces = [text for piece in given.data.get("pieces", {}).values() for text in _texts_of(piece)]
        asking = {name for text in [prompt or "", *pieces] for name in places(text)} & {"question", "images"}
        if prompt is not None and not asking and given.data.get("image_order") != "only_at_marks":
            raise ValueError("has no place for {question} (a prompt that asks by itself names {images})")
        return prompt


def _texts_of(piece: ChosenText) -> list[str]:
    return [*piece.cases.values(), piece.otherwise or "", piece.absent or ""]


def shards(entry: DatasetEntry, limit: int | None, rows_per_shard: int | None = None) -> int:
    """Return how many shards a benchmark has: a property of the data, never of the machine.

    ``rows_per_shard`` is the configuration's override of the entry's own value. Unknown row counts give one shard.
    """
    if entry.rows is None:
        return 1
    rows = min(entry.rows, limit or entry.rows)
    return -(-rows // (rows_per_shard or entry.rows_per_shard))


def prompt_template(entry: DatasetEntry) -> Template:
    """Return how a benchmark asks."""
    order, listed, inserts = entry.image_order, entry.options_from, entry.inserts
    return Template(
        entry.task,
        entry.prompt,
        entry.choices,
        entry.option,
        order.piece() if isinstance(order, ChosenOrder) else order,
        entry.question,
        {name: chosen.piece() for name, chosen in entry.pieces.items()},
        None if listed is None else Items(column=listed.column, pattern=listed.pattern),
        entry.image_mark,
        entry.text_parts,
        tuple(entry.replace.items()),
        None if inserts is None else Inserts(column=inserts.column, separator=inserts.separator, mark=inserts.mark),
        entry.image_optional,
    )


def tsv_path(base: str, entry: DatasetEntry, lmu_data: Path) -> Path:
    """Return where a dataset's TSV lies or will lie."""
    return Path(entry.path) if entry.path else lmu_data / f"{base}.tsv"
