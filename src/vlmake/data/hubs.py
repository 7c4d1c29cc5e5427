"""Where published checkpoints and tables come from: Hugging Face, ModelScope, or only local folders.

Each hub's own environment variables (``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``;
``MODELSCOPE_CACHE``) hold as they do for its other users, so what was downloaded before is found. No error names more
of an address than its host.
"""

import glob
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from vlmake.digests import CALLED, CONFIGURATIONS, TRAINING_LEFTOVERS, Kind, checkpoint_digest, missing_file
from vlmake.errors import VlmakeError
from vlmake.store import disk_errors

Hub = Literal["hf", "modelscope", "path"]

_SMALL_FILES = ["*.json", "*.model", "*.txt", "*.jinja", "*.py", "*.tiktoken"]
_SAFE_WEIGHTS = ["*.safetensors"]
_PICKLED_WEIGHTS = ["*.bin", "*.pt", "*.pth"]

# The same weights once more in another format, and what a training left behind.
_NOT_NEEDED = [
    "original/*",
    "consolidated*",
    "onnx/*",
    "openvino/*",
    "coreml/*",
    "*.fp16.*",
    "*.fp16-*",
    "runs/*",
    *TRAINING_LEFTOVERS,
]


class Snapshot(BaseModel):
    """A checkpoint or adapter on this machine.

    ``name`` is its id on the hub, or the folder itself; ``revision`` is what fetches the same files again, a commit
    where the hub has such; ``identity`` is the same wherever the content is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hub: Hub
    name: str
    revision: str | None
    folder: Path
    identity: str


def fetch(hub: Hub, name: str, revision: str, kind: Kind = "model") -> Snapshot:
    """Return the snapshot of a repository, from the hub's cache or by downloading it.

    Args:
        hub: Which one.
        name: Repository id, ``owner/name``; for the hub ``path`` the folder.
        revision: Branch, tag or commit; ``main`` is ModelScope's ``master``.
        kind: Whether a model or an adapter is expected in it.

    Raises VlmakeError, as one line that says what is in the way.
    """
    if hub == "hf":
        return _from_hugging_face(name, revision, kind)
    if hub == "modelscope":
        return _from_modelscope(name, revision, kind)
    if not Path(name).is_absolute():
        raise VlmakeError(f"{name} is on a hub, but `hub: path` allows local folders only: give its folder as `path`")
    return local(Path(name), kind)


def local(folder: Path, kind: Kind = "model") -> Snapshot:
    """Return the snapshot that a plain folder is; raise VlmakeError where it is no whole checkpoint."""
    refuse_incomplete(folder, kind)
    identity = f"local:{checkpoint_digest(folder, kind)}"
    return Snapshot(hub="path", name=str(folder), revision=None, folder=folder, identity=identity)


def refuse_incomplete(folder: Path, kind: Kind = "model") -> None:
    """Raise VlmakeError, naming the missing file, where a folder is not a whole checkpoint or adapter."""
    missing = missing_file(folder, kind)
    if missing == CONFIGURATIONS[kind]:
        found = "there is no such folder" if not folder.exists() else f"there is no {missing} in it"
        raise VlmakeError(f"{folder} is no {CALLED[kind]}: {found}")
    if missing is not None:
        raise VlmakeError(f"{folder} is only part of a {CALLED[kind]}: {missing} is missing")


def cached(hub: Hub, name: str, revision: str) -> Path | None:
    """Return the folder of a model that is in the hub's cache, whole; None if it would have to be downloaded."""
    if hub == "path":
        return fetch(hub, name, revision).folder
    if hub == "modelscope":
        return _cached_by_modelscope(name, revision, "model")
    try:
        folder = _hugging_face_folder(name, revision, cached_only=True)
    except VlmakeError:
        return None
    return folder if missing_file(folder) is None else None


class Tables(NamedTuple):
    """Files of a dataset repository on this machine: paths below ``folder``, all of one commit."""

    folder: Path
    files: tuple[str, ...]
    commit: str


def fetch_tables(name: str, revision: str, choose: Callable[[Sequence[str]], Sequence[str]]) -> Tables:
    """Return some parquet files of a dataset on Hugging Face, from the hub's cache or by downloading them.

    Args:
        name: Repository id, ``owner/name``.
        revision: Branch, tag or commit.
        choose: Gets the paths of all parquet files and returns those that are wanted, or raises VlmakeError.

    Raises VlmakeError, as one line that says what is in the way.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        with disk_errors(Path(constants.HF_HUB_CACHE)):
            try:
                about = HfApi().dataset_info(name, revision=revision)
            except Exception as unreachable:  # see _hugging_face_folder
                return _cached_tables(name, revision, choose, unreachable)
            wanted = choose([file.rfilename for file in about.siblings or () if file.rfilename.endswith(".parquet")])
            patterns = [glob.escape(file) for file in wanted]
            # By its branch, so that the cache knows which commit that was when there is no network.
            folder = Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=patterns))
            if not all((folder / file).is_file() for file in wanted):
                raise VlmakeError(f"{name}@{revision} moved on during the download; run the same command again")
            return Tables(folder, tuple(wanted), folder.name)
    except VlmakeError:
        raise
    except Exception as error:  # see _hugging_face_folder
        raise VlmakeError(_hugging_face_fault(error, name, revision)) from error


def _cached_tables(
    name: str, revision: str, choose: Callable[[Sequence[str]], Sequence[str]], cause: Exception
) -> Tables:
    """Return what is in the cache of a dataset whose hub gave ``cause`` instead of a list of its files."""
    from huggingface_hub import errors, snapshot_download

    try:
        found = snapshot_download(
            name, repo_type="dataset", revision=revision, local_files_only=True, allow_patterns=[]
        )
    except errors.LocalEntryNotFoundError as absent:
        refused = isinstance(cause, errors.HfHubHTTPError) and cause.response.status_code in (401, 403, 404)
        raise (cause if refused else absent) from cause
    folder = Path(found)
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.parquet"))
    return Tables(folder, tuple(choose(files)), folder.name)


def _from_hugging_face(name: str, revision: str, kind: Kind) -> Snapshot:
    folder = _hugging_face_folder(name, revision, cached_only=False)
    refuse_incomplete(folder, kind)
    if not re.fullmatch(r"[0-9a-f]{40}", folder.name):
        raise VlmakeError(f"{folder} is not named by a commit, so answers could not be keyed")
    return Snapshot(hub="hf", name=name, revision=folder.name, folder=folder, identity=f"hub:{name}@{folder.name}")


def _hugging_face_folder(name: str, revision: str, *, cached_only: bool) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()  # a log file would get a line for every step of every bar

    def download(revision: str, weights: list[str]) -> Path:
        folder = snapshot_download(
            name,
            revision=revision,
            allow_patterns=[*_SMALL_FILES, *weights],
            ignore_patterns=_NOT_NEEDED,
            local_files_only=cached_only,
        )
        return Path(folder)

    try:
        with disk_errors(Path(constants.HF_HUB_CACHE)):
            folder = download(revision, _SAFE_WEIGHTS)
            return folder if any(folder.glob("*.safetensors")) else download(folder.name, _PICKLED_WEIGHTS)
    except VlmakeError:
        raise
    except Exception as error:  # its network library's errors have no common type and change with its releases
        raise VlmakeError(_hugging_face_fault(error, name, revision)) from error


def _hugging_face_fault(error: Exception, name: str, revision: str) -> str:
    from huggingface_hub import constants, errors

    host = urlsplit(constants.ENDPOINT).hostname
    where = f"{name}@{revision}"
    answer = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"{name} is gated: accept its terms on {host}, then log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no {name} on {host}, or it is private and this machine is not logged in (`hf auth login`)"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{name} has no revision '{revision}' on {host}"
    if isinstance(error, errors.HFValidationError):
        return f"'{name}' is no repository id; it should be owner/name"
    if isinstance(error, errors.LocalEntryNotFoundError):
        cause = error.__cause__
        answer = getattr(getattr(cause, "response", None), "status_code", None)
        part = "only partly" if isinstance(error, getattr(errors, "IncompleteSnapshotError", ())) else "not"
        missing = f"{where} is {part} in the hub cache {constants.HF_HUB_CACHE}"
        if constants.HF_HUB_OFFLINE:
            return f"{missing} and HF_HUB_OFFLINE forbids to ask {host}; download it where there is a network"
        if answer is not None:
            return f"{missing} and {host} answered {answer}; try again later"
        reason = f"cannot be reached ({type(cause).__name__})" if cause else "was not asked"
        return f"{missing} and {host} {reason}; set `path` to its folder, or HF_ENDPOINT to a mirror"
    if answer in (401, 403):
        return f"{host} refuses {name} ({answer}): log in with `hf auth login` or set HF_TOKEN"
    if answer is not None:
        return f"{host} answered {answer} for {where}; the same command goes on later"
    return f"{where}: the download from {host} broke off ({type(error).__name__}); the same command goes on"


def _from_modelscope(name: str, revision: str, kind: Kind) -> Snapshot:
    revision = _modelscope_revision(revision)
    folder = _cached_by_modelscope(name, revision, kind) or _download_from_modelscope(name, revision)
    refuse_incomplete(folder, kind)
    # No commit is told apart from its branch there, so the content itself is the identity, as for any local folder.
    identity = f"local:{checkpoint_digest(folder, kind)}"
    return Snapshot(hub="modelscope", name=name, revision=revision, folder=folder, identity=identity)


def _modelscope_revision(revision: str) -> str:
    return "master" if revision == "main" else revision


def _cached_by_modelscope(name: str, revision: str, kind: Kind) -> Path | None:
    folders = _modelscope_folders(name, _modelscope_revision(revision))
    return next((folder for folder in folders if missing_file(folder, kind) is None), None)


def _modelscope_folders(name: str, revision: str) -> Iterator[Path]:
    """Yield where the releases of the modelscope package put a repository; the older ones know one revision each."""
    configured = os.environ.get("MODELSCOPE_CACHE")
    base = Path(configured or "~/.cache/modelscope").expanduser()
    owner, _, short = name.partition("/")
    yield base / "models" / f"{owner}--{short}" / "snapshots" / revision
    if revision == "master":
        for root in (base / "models", base / "hub" / "models", base / "hub", base):
            for spelt in dict.fromkeys((short.replace(".", "___"), short)):
                yield root / owner / spelt


def _download_from_modelscope(name: str, revision: str) -> Path:
    try:
        from modelscope.hub.snapshot_download import snapshot_download
    except ImportError:
        raise VlmakeError(
            f"{name}@{revision} is not in ModelScope's cache, and the package that downloads it is not installed:"
            " pip install 'vlmake[modelscope]'"
        ) from None

    def download(weights: list[str]) -> Path:
        patterns = [*_SMALL_FILES, *weights]
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=_NOT_NEEDED))

    try:
        with disk_errors(Path(os.environ.get("MODELSCOPE_CACHE") or "~/.cache/modelscope").expanduser()):
            folder = download(_SAFE_WEIGHTS)
            return folder if any(folder.glob("*.safetensors")) else download(_PICKLED_WEIGHTS)
    except VlmakeError:
        raise
    except Exception as error:  # that package raises errors of several libraries
        answer = getattr(getattr(error, "response", None), "status_code", None)
        status = answer or type(error).__name__
        raise VlmakeError(
            f"{name}@{revision} cannot be had from ModelScope ({status}); check the id, or set `path` to its folder"
        ) from error
