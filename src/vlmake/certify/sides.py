"""Both sides of a certification: the same prompts, answered by the published code and by the converted model."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vlmake.backends import transformers
from vlmake.backends.base import Request, Turn
from vlmake.backends.preparing import Preparer
from vlmake.backends.processor import load_processor
from vlmake.certify.prompts import Prompt
from vlmake.errors import VlmakeError
from vlmake.models.model_spec import RuntimeOptions, TransformersSpec
from vlmake.store import canonical_json, write_text

PROGRAM = Path(__file__).with_name("original.py")

# All that the published code sees of this process's environment: it is foreign code, and tokens are not its business.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_HOME", "NVIDIA_TF32_OVERRIDE")
_DEVICES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one side made of one prompt.

    ``tiles`` are float32 of shape (tiles, 3, height, width), None without images; ``logits`` float32 of the first
    answer token; ``answer_ids`` end before the token that ends an answer.
    """

    ids: list[int]
    tiles: np.ndarray[Any, Any] | None
    logits: np.ndarray[Any, Any]
    answer_ids: list[int]
    answer: str


@dataclass(frozen=True, slots=True)
class Original:
    """The original's answers as its program left them in ``folder``; arrays are read when they are compared."""

    folder: Path
    facts: Mapping[str, Any]
    prompts: Sequence[Mapping[str, Any]]

    def seen(self, number: int) -> Seen:
        """Return what the original made of a prompt."""
        prompt = self.prompts[number]
        ids = prompt["answer_ids"]
        end = ids.index(prompt["stop_id"]) if prompt["stop_id"] in ids else len(ids)
        tiles = _array(self.folder / f"tiles-{number}.npy") if prompt["tiles"] else None
        logits = _array(self.folder / f"logits-{number}.npy")
        return Seen(prompt["ids"], tiles, logits, ids[:end], prompt["answer"])


def write_job(folder: Path, checkpoint: Path, prompts: Sequence[Prompt], settings: Mapping[str, Any]) -> None:
    """Write what the original's program reads: ``job.json``, the images, and a link to the checkpoint.

    The link gives the checkpoint a name that can be a Python module's, as the library needs it.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "checkpoint").symlink_to(checkpoint.absolute(), target_is_directory=True)
    for digest, data in {digest: data for prompt in prompts for digest, data in prompt.images.items()}.items():
        (folder / "images" / digest).write_bytes(data)
    job = {
        **settings,
        "checkpoint": str((folder / "checkpoint").absolute()),
        "output": str(folder.absolute()),
        "prompts": [_job_prompt(prompt, (folder / "images").absolute()) for prompt in prompts],
    }
    write_text(folder / "job.json", canonical_json(job))
    write_text(folder / PROGRAM.name, PROGRAM.read_text(encoding="utf-8"))  # no module of ours beside it to be found


def run_original(
    python: Path, folder: Path, lent: Mapping[str, str], threads: int, advance: Callable[[int], None]
) -> Original:
    """Run the job in ``folder`` under the original's interpreter; ``advance`` is told of each finished prompt.

    ``lent`` restricts it to leased devices. Raises VlmakeError with the one line that the program ended with.
    """
    environment = {name: os.environ[name] for name in (*_PASSED_ON, *_DEVICES) if name in os.environ} | {
        "HF_HUB_OFFLINE": "1",
        "HF_MODULES_CACHE": str(folder.absolute() / "modules"),
        "OMP_NUM_THREADS": str(threads),
        **lent,
    }
    with (folder / "original.log").open("wb") as log:
        try:
            child = subprocess.Popen(
                [str(python), PROGRAM.name, "job.json"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log
            )
        except OSError as error:
            raise VlmakeError(f"{python} cannot be started: {error.strerror}") from error
        with child:
            assert child.stdout is not None
            try:
                for line in child.stdout:
                    advance(line.startswith(b"done "))
            except BaseException:
                child.kill()
                raise
    if child.wait():
        raise VlmakeError(_why(child.returncode, python, folder / "original.log"))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    facts = {key: value for key, value in results.items() if key != "prompts"}
    return Original(folder, facts, results["prompts"])


class Converted:
    """The converted model behind the backend that evaluates, asked one prompt at a time."""

    def __init__(self, spec: TransformersSpec, runtime: RuntimeOptions) -> None:
        import torch

        self._backend = transformers.load(spec, runtime)
        # The backend's own pixels are rounded to the model's number format already.
        processor = load_processor(spec.folder, spec.entry)
        self._exact = Preparer(processor, spec.entry.system, self._backend.capabilities, torch.float32, pinned=False)

    def seen(self, prompt: Prompt, max_new_tokens: int) -> Seen:
        """Return what the converted model makes of a prompt; raise VlmakeError naming the prompt if it fails."""
        request = Request([Turn("user", prompt.parts)], prompt.images, max_new_tokens, prompt.pixels)
        try:
            (part,) = self._backend.prepare([request])
            tiles = self._exact.prepare([request], [])[0].inputs.get("pixel_values")
            (output,), answers = self._backend.traced(part)
        except Exception as error:  # a backend may raise anything
            raise VlmakeError(
                f"the converted model fails at prompt {prompt.name}: {type(error).__name__}: {error}"
            ) from error
        ids = part.inputs["input_ids"][0][part.inputs["attention_mask"][0] == 1].tolist()
        assert answers.first_logits is not None
        logits = answers.first_logits[0].float().cpu().numpy()
        ended = output.finish_reason == "stop"
        answer_ids = answers.ids[0][: (output.completion_tokens or 0) - ended]
        return Seen(ids, None if tiles is None else tiles.numpy(), logits, answer_ids, output.text.strip())

    def facts(self) -> dict[str, Any]:
        """Return the effective settings of the backend, without times."""
        wanted = ("class", "device", "dtype", "attention", "generation")
        return {key: value for key, value in self._backend.facts().items() if key in wanted}


def _job_prompt(prompt: Prompt, images: Path) -> dict[str, Any]:
    parts = [
        {"image": str(images / part["image"])} if part["type"] == "image" else {"text": part["text"]}
        for part in prompt.parts
    ]
    return {
        "name": prompt.name,
        "parts": parts,
        "min_tiles": prompt.pixels.get("min_patches", 1),
        "max_tiles": prompt.pixels.get("max_patches"),
        "prompt_tiles": prompt.pixels.get("prompt_patches"),
        "first_image_scale": prompt.pixels.get("first_image_scale"),
    }


def _why(code: int, python: Path, log: Path) -> str:
    """Return one line on how the original's program ended: its own error line, or the signal that ended it."""
    if code < 0:
        memory = "; most likely there was not enough memory" if -code == signal.SIGKILL else ""
        return f"the original was ended by {signal.Signals(-code).name}{memory}"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("original: ")]
    if own:
        return f"the {own[-1]}"
    return f"the original's {python} ended with code {code}: {lines[-1] if lines else 'no message'}"


def _array(file: Path) -> np.ndarray[Any, Any]:
    loaded: np.ndarray[Any, Any] = np.load(file, allow_pickle=False)
    return loaded
