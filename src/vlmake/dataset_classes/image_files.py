"""Where an image lies that a dataset class, or the TSV that it reads, names by a path."""

from collections.abc import Sequence
from pathlib import Path

from vlmake.data.images import ImageError


def found_inside(name: str, starts: Sequence[Path], folders: Sequence[Path]) -> Path:
    """Return the file behind ``name``, links followed.

    Args:
        name: A path: absolute, or relative to one of ``starts``, of which the first counts where the file is there.
        starts: Folders; a file that is in none of them is taken to be missing in the last one.
        folders: Whatever the path is, the file lies in or below one of these.

    Raises:
        ImageError: The path leads out of the folders (by itself or by a link), or is none.
    """
    try:
        inside = [folder.resolve() for folder in folders]
        places = [(start / name).resolve() for start in starts]
        allowed = [place for place in places if any(place.is_relative_to(folder) for folder in inside)]
        there = next((place for place in allowed if place.is_file()), places[-1])
    except (OSError, ValueError, RuntimeError) as error:  # too long, a circle of links, no permission, a NUL
        raise ImageError(f"cannot read image_path '{name:.80}': {error}") from None
    if there not in allowed:
        raise ImageError(
            f"image_path '{name:.80}' leads out of the image folder {folders[-1]}; a class whose images lie elsewhere "
            "sets self.img_root in __init__"
        )
    return there
