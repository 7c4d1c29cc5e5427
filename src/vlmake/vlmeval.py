"""What a class written for VLMEvalKit's development guide imports: change its imports to this module's name.

``ImageBaseDataset`` for datasets, ``BaseModel`` for models, the helpers for images as base64, and ``load``/``dump`` for
tables and JSON, with that guide's names and signatures. Pickles are neither read nor written. The star import
``from vlmake.vlmeval import *`` also gives the modules that a class of VLMEvalKit gets with its own.
"""

import ast
import base64
import hashlib
import io
import json
import logging
import os
import os.path as osp
import re
import string
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from PIL import Image

from vlmake import paths
from vlmake.data.download import source_record
from vlmake.data.images import ImageError
from vlmake.dataset_classes.files import dump, load
from vlmake.dataset_classes.image_files import found_inside
from vlmake.errors import VlmakeError
from vlmake.model_classes.base_model import BaseModel
from vlmake.model_classes.guide import (
    DATASET_MODALITY,
    DATASET_TYPE,
    cn_string,
    concat_images_vlmeval,
    get_cache_path,
    get_gpu_memory,
    get_rank_and_world_size,
    isimg,
    parse_file,
    splitlen,
    toliststr,
    version_cmp,
)
from vlmake.scoring.protocols import NO_IMAGE

__all__ = [
    "DATASET_MODALITY",
    "DATASET_TYPE",
    "BaseModel",
    "Image",
    "ImageBaseDataset",
    "LMUDataRoot",
    "cn_string",
    "concat_images_vlmeval",
    "d2df",
    "decode_base64_to_image",
    "decode_base64_to_image_file",
    "defaultdict",
    "dump",
    "encode_image_file_to_base64",
    "encode_image_to_base64",
    "get_cache_path",
    "get_gpu_memory",
    "get_intermediate_file_path",
    "get_logger",
    "get_rank_and_world_size",
    "isimg",
    "istype",
    "json",
    "listinstr",
    "load",
    "md5",
    "np",
    "os",
    "osp",
    "parse_file",
    "pd",
    "re",
    "read_ok",
    "splitlen",
    "string",
    "toliststr",
    "version_cmp",
    "warnings",
]

_REFERENCE_LENGTH = 64  # a shorter `image` cell is the index of the row whose image it shares
_TO_RGB = ("RGBA", "P", "LA")  # modes that JPEG cannot hold


def encode_image_to_base64(img: Image.Image, target_size: int = -1, fmt: str = "JPEG") -> str:
    """Return an image file in base64; with ``target_size`` above 0 no side is longer than that many pixels."""
    buffer = io.BytesIO()
    _fitted(img, target_size).save(buffer, format=fmt)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def encode_image_file_to_base64(image_path: str | Path, target_size: int = -1, fmt: str = "JPEG") -> str:
    """Return a picture from disk as ``encode_image_to_base64`` does: saved again, in the format ``fmt``."""
    with Image.open(image_path) as image:
        return encode_image_to_base64(image, target_size, fmt)


def decode_base64_to_image(base64_string: str, target_size: int = -1) -> Image.Image:
    """Return the image behind base64; with ``target_size`` above 0 no side is longer than that many pixels."""
    return _fitted(Image.open(io.BytesIO(base64.b64decode(base64_string))), target_size)


def decode_base64_to_image_file(base64_string: str, image_path: str | Path, target_size: int = -1) -> None:
    """Save the image behind base64, in the format that the path's ending names; missing folders are made."""
    image = decode_base64_to_image(base64_string, target_size)
    Path(image_path).parent.mkdir(parents=True, exist_ok=True)
    image.save(image_path)


def _fitted(image: Image.Image, target_size: int) -> Image.Image:
    fitted = image.convert("RGB") if image.mode in _TO_RGB else image.copy()
    if target_size > 0:
        fitted.thumbnail((target_size, target_size))
    return fitted


def LMUDataRoot() -> str:  # noqa: N802 (the guide's name)
    """Return the folder of published TSVs, ``$LMUData`` or ``~/LMUData``; it is made where it is not there."""
    folder = paths.lmu_data(None)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def istype(s: Any, type_of: type) -> bool:
    """Tell whether a value is of a type, or a text that Python would write such a value as."""
    if isinstance(s, type_of):
        return True
    try:
        return isinstance(ast.literal_eval(str(s)), type_of)
    except (ValueError, SyntaxError):
        return False


def listinstr(lst: Sequence[str], s: str) -> bool:
    """Tell whether one of several texts is part of ``s``."""
    return any(item in s for item in lst)


def d2df(d: Mapping[str, Any]) -> pd.DataFrame:
    """Return a mapping as a DataFrame of one row, or of as many as its lists have items."""
    return pd.DataFrame({key: value if isinstance(value, list) else [value] for key, value in d.items()})


def md5(s: str) -> str:
    """Return the md5 sum of a file, or of the text itself where there is no such file."""
    data = Path(s).read_bytes() if Path(s).is_file() else s.encode("utf-8")
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def read_ok(img_path: str | Path) -> bool:
    """Tell whether a picture on disk can be opened."""
    try:
        with Image.open(img_path) as image:
            return image.width > 0 and image.height > 0
    except (OSError, ValueError):
        return False


def get_intermediate_file_path(eval_file: str, suffix: str, target_format: str | None = None) -> str:
    """Return the name of a file beside ``eval_file``: its stem, ``suffix``, its ending or another one."""
    file = Path(eval_file)
    return str(file.with_name(f"{file.stem}{suffix}{f'.{target_format}' if target_format else file.suffix}"))


def get_logger(name: str, *_: Any, **__: Any) -> logging.Logger:
    """Return a logger of the standard library."""
    return logging.getLogger(name)


class ImageBaseDataset:
    """A benchmark as a class, to be inherited from: rows from a TSV, ``build_prompt`` and ``evaluate``.

    Attributes:
        MODALITY: What the questions are about.
        TYPE: The kind of task; read by whoever wants to.
        DATASET_URL: Where the TSV of each dataset is, by the dataset's name.
        DATASET_MD5: The md5 sum of each dataset's TSV.
        tsv_files: Where a TSV lies already, by the dataset's name; it is not looked for elsewhere then.
        data: The rows. ``image`` is base64, or a list of them; references between rows are followed.
        meta_only: Whether the TSV has no images, only their paths.
        img_root: Where ``dump_image`` writes, and the images lie that the TSV names by path.
        image_folder: Where those images lie instead of in ``img_root``, if not None.
    """

    MODALITY = "IMAGE"
    TYPE: Any = None
    DATASET_URL: ClassVar[Mapping[str, str]] = {}
    DATASET_MD5: ClassVar[Mapping[str, str]] = {}
    tsv_files: ClassVar[Mapping[str, str]] = {}

    def __init__(self, dataset: str = "MMBench", skip_noimg: bool = True) -> None:
        """Read the rows of ``dataset``, without those that have no image unless ``skip_noimg`` is off."""
        self.dataset_name = dataset
        self.img_root = str(paths.image_root(dataset, Path(LMUDataRoot())))
        self.image_folder: str | None = None
        self.skip_noimg = skip_noimg
        self.meta_only = True
        self._dumped: dict[str, str] = {}  # path → digest of the image that was written there
        data = self.load_data(dataset)
        if skip_noimg and "image" in data:
            data = data[~data["image"].isna()]
        data = data.assign(index=[str(index) for index in data["index"]])
        if "image" in data:
            self.meta_only = False
            data = data.assign(image=_images(data))
        if "image_path" in data:
            data = data.assign(image_path=[_one_or_list(cell) for cell in data["image_path"]])
        if all(re.fullmatch(r"[+-]?[0-9]+", index) for index in data["index"]):
            data = data.assign(index=[int(index) for index in data["index"]])
        self.data: pd.DataFrame = data
        self.post_build(dataset)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.data)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Return a row by its place."""
        return dict(self.data.iloc[idx])

    @classmethod
    def supported_datasets(cls) -> list[str]:
        """Return the names of the datasets that this class serves."""
        return list(cls.DATASET_URL)

    def load_data(self, dataset: str) -> pd.DataFrame:
        """Return the rows of a dataset as its TSV has them."""
        if dataset in self.tsv_files:
            return _table(self.tsv_files[dataset])
        if dataset not in self.DATASET_URL:
            raise VlmakeError(f"{type(self).__name__} has no DATASET_URL['{dataset}']")
        return self.prepare_tsv(self.DATASET_URL[dataset], self.DATASET_MD5.get(dataset))

    def prepare_tsv(self, url: str, file_md5: str | None = None) -> pd.DataFrame:
        """Return the rows of the TSV at ``url``, downloaded and checked unless it is there."""
        if self.dataset_name in self.tsv_files and url == self.DATASET_URL.get(self.dataset_name):
            return _table(self.tsv_files[self.dataset_name])
        file = Path(LMUDataRoot()) / url.rsplit("/", 1)[-1]
        source_record(self.dataset_name, file, [url], [file_md5] if file_md5 else [])
        return _table(file)

    def post_build(self, dataset: str) -> None:
        """Do what a class wants to do once its rows are there."""

    def dump_image(self, line: Any) -> list[str]:
        """Write a row's images to ``img_root``, byte for byte as the TSV has them; return their paths.

        Of a row without a cell ``image``, the paths are those of the files that its ``image_path`` names.

        Raises:
            ImageError: No image, broken base64, or a path that leads out of the folder of images.
        """
        if "image" not in line:
            return self._named(line)
        if not isinstance(line["image"], str | list):
            raise ImageError(NO_IMAGE)
        images = line["image"] if isinstance(line["image"], list) else [line["image"]]
        names = toliststr(line["image_path"]) if isinstance(line.get("image_path"), str | list) else []
        if len(names) != len(images):
            names = [f"{line['index']}{f'_{place}' if place else ''}.png" for place in range(len(images))]
        return [
            self._written(image, name, f"{line['index']}_{place}")
            for place, (image, name) in enumerate(zip(images, names, strict=True))
        ]

    def _named(self, line: Any) -> list[str]:
        """Return where a row's images lie; whatever the TSV says, they lie in the folder of images."""
        if not isinstance(line["image_path"], str | list):
            raise ImageError(NO_IMAGE)
        folder = Path(self.image_folder or self.img_root)
        return [str(found_inside(name, [folder], [folder])) for name in toliststr(line["image_path"])]

    def _written(self, image: str, name: str, otherwise: str) -> str:
        """Return where an image was written: at ``name``, or where another one lies there, beside it."""
        try:
            data = base64.b64decode("".join(image.split()), validate=True)
        except ValueError as error:
            raise ImageError(f"broken base64: {error}") from None
        digest = hashlib.sha256(data).hexdigest()
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or not inside.parts:
            inside = PurePosixPath(f"{otherwise}{inside.suffix}")
        if self._dumped.get(str(inside), digest) != digest:
            inside = inside.with_name(f"{otherwise}_{inside.name}")
        file = Path(self.img_root) / inside
        if self._dumped.get(str(inside)) != digest or not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            self._dumped[str(inside)] = digest
        return str(file)

    def build_prompt(self, line: Any) -> list[dict[str, str]]:
        """Return what a model is asked, for a row or its place: the images, then the question."""
        if isinstance(line, int | np.integer):
            line = self.data.iloc[int(line)]
        files = self._named(line) if self.meta_only else self.dump_image(line)
        return [*({"type": "image", "value": file} for file in files), {"type": "text", "value": str(line["question"])}]

    def display(self, line: Any) -> None:
        """Print a row, for a row or its place: where its images lie, then its other cells."""
        if isinstance(line, int | np.integer):
            line = self.data.iloc[int(line)]
        for file in self._named(line) if self.meta_only else self.dump_image(line):
            print(file)
        for name, value in dict(line).items():
            if name not in ("image", "image_path"):
                print(f"{name}: {value}")

    def evaluate(self, eval_file: str, **judge_kwargs: Any) -> Any:
        """Return the scores of a file of predictions, as a dict or a DataFrame."""
        raise NotImplementedError(f"{type(self).__name__} has no method evaluate(self, eval_file, **judge_kwargs)")


def _table(file: str | Path) -> pd.DataFrame:
    table: pd.DataFrame = load(file)
    if "index" not in table:
        raise VlmakeError(f"{file}: there is no column 'index'")
    return table


def _images(data: pd.DataFrame) -> "list[Any]":
    """Return the images of the rows: base64, or a list of them, references to other rows followed."""
    given = zip(data["index"], data["image"], strict=True)
    cells = {index: None if pd.isna(cell) else str(cell) for index, cell in given}
    for index, cell in cells.items():
        if cell is not None and len(cell) <= _REFERENCE_LENGTH and not cell.startswith("["):
            found = cells.get(cell)
            if found is None or len(found) <= _REFERENCE_LENGTH:
                raise VlmakeError(f"row with index '{index}': its image '{cell}' is no index of a row with an image")
            cells[index] = found
    return [None if cells[index] is None else _one_or_list(cells[index]) for index in data["index"]]


def _one_or_list(cell: Any) -> Any:
    if not isinstance(cell, str | list):
        return cell
    items = toliststr(cell)
    return items[0] if len(items) == 1 else items
