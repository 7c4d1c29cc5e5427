"""What all registry entries share."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]


def names_places(*places: str) -> Callable[[str | None], str | None]:
    """Return a check that a frame has a place for each of ``places``: without it a question would not be asked."""

    def check(frame: str | None) -> str | None:
        if frame is not None and (absent := [place for place in places if place not in frame]):
            raise ValueError(f"has no place for {absent[0]}")
        return frame

    return check


class Entry(BaseModel):
    """What every registry entry shares: immutable, and no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)
