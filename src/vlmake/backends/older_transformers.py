"""What differs in the versions of transformers that an environment of its own may have.

The rest of the package is written for the newest one. Where an older one cannot share what questions on one image have
in common, the self-check finds that out.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from packaging.version import Version

OLDEST = "4.49"
"""The oldest version with one class for all image-text models and a chat template in every processor."""


def is_too_old(transformers: str) -> bool:
    """Tell whether the one generic path does not exist in a version of transformers."""
    return Version(transformers) < Version(OLDEST)


def number_format(dtype: Any) -> dict[str, Any]:
    """Return the argument of ``from_pretrained`` that sets the weights' number format."""
    return {"torch_dtype" if _is_before("4.56") else "dtype": dtype}


def pillow_images() -> dict[str, Any]:
    """Return the argument of ``from_pretrained`` that takes the image processor which needs Pillow only."""
    return {"use_fast": False} if _is_before("5") else {"backend": "pil"}


def processor_parts(processor_class: Any) -> list[str]:
    """Return the names of the parts that a processor class is made of."""
    return list(processor_class.attributes if _is_before("5") else processor_class.get_attributes())


@cache
def _is_before(release: str) -> bool:
    return Version(version("transformers")) < Version(release)
