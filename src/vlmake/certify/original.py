"""The original's side, as a program of its own: a published InternVL checkpoint run by the code that comes with it.

``python original.py JOB.json`` runs under the interpreter that the published code was written for (Python 3.9 or newer)
and imports nothing of vlmake. Tiling, normalisation and prompt follow the published rules independently of the native
processor: that is what makes the comparison a check. For every prompt of the job it writes ``tiles-N.npy`` and
``logits-N.npy`` (float32) into the job's output folder, and at the end ``results.json``; then one line ``done N`` on
stdout for each prompt, and for any error one line ``original: ...`` on stderr with exit code 1.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import inspect
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, per channel
START, END, CONTEXT = "<img>", "</img>", "<IMG_CONTEXT>"
PLACE = "<image>"
NEEDED = ("numpy", "PIL", "torch", "transformers")


class OriginalError(Exception):
    """What keeps the original from running, as one line."""


def main() -> None:
    """Do the job that the command line names."""
    try:
        run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except BaseException as error:  # whatever the checkpoint's own code raises must become one line
        reason = str(error) if isinstance(error, OriginalError) else f"{type(error).__name__}: {error}"
        print("original: " + " ".join(reason.split())[:1500], file=sys.stderr, flush=True)
        sys.exit(1)


def run(job: dict[str, Any]) -> None:
    """Answer the job's prompts one by one and write down what the model was given and what it made of it."""
    reference = code_reference(Path(job["checkpoint"]))
    versions = _versions(job["transformers"])
    _quieten()
    stand_ins = _stand_in_for_timm()
    original = Original(job, reference)
    prompts = []
    for number, prompt in enumerate(job["prompts"]):
        try:
            prompts.append(original.answer(number, prompt))
        except Exception as error:
            raise OriginalError(f"prompt {prompt['name']}: {type(error).__name__}: {error}") from error
        print("done", number, flush=True)
    results = {
        "versions": versions,
        "stand_ins": stand_ins,
        "class": type(original.model).__name__,
        "code": _code(job["checkpoint"]),
        "device": original.device_name(),
        "dtype": job["dtype"],
        "noise": original.noise(job["prompts"][: job["noise_prompts"]]),
        "prompts": prompts,
    }
    _write(Path(job["output"]) / "results.json", json.dumps(results, ensure_ascii=False).encode("utf-8"))


class Original:
    """The published model with its tokenizer, on its device."""

    def __init__(self, job: dict[str, Any], reference: str) -> None:
        import torch

        self._job = job
        self._output = Path(job["output"])
        self._dtype = getattr(torch, job["dtype"])
        if job["device"] == "cpu":
            torch.set_num_threads(job["threads"])
        if job["device"] == "npu":
            importlib.import_module("torch_npu")
        if job["dtype"] == "float32":
            torch.backends.cudnn.allow_tf32 = False  # the default rounds convolutions to ten bits
        self.model = _load(job, reference, self._dtype)
        self._device = self.model.language_model.device
        self._tokenizer = _load_tokenizer(job["checkpoint"])
        self.model.img_context_token_id = self._tokenizer.convert_tokens_to_ids(CONTEXT)

    def answer(self, number: int, prompt: dict[str, Any]) -> dict[str, Any]:
        """Return what one prompt became: ids, tiles, first logits, greedy answer."""
        tiles = self._tiles(prompt)
        query, stop = self._query(prompt, [len(of_image) for of_image in tiles])
        ids = self._tokenizer(query, return_tensors="pt")["input_ids"]
        pixels = _stack(tiles)
        new, logits = self._generate(ids, None, pixels, stop, self._job["max_new_tokens"])
        first = logits[0].numpy()
        _save(self._output / f"logits-{number}.npy", first)
        if pixels is not None:
            _save(self._output / f"tiles-{number}.npy", pixels)
        answer_ids = new[0].tolist()
        text = self._tokenizer.decode(answer_ids, skip_special_tokens=True)
        return {
            "ids": ids[0].tolist(),
            "tiles": _description(pixels),
            "answer_ids": answer_ids,
            "stop_id": self._tokenizer.convert_tokens_to_ids(stop),
            "answer": text.split(stop)[0].strip(),
        }

    def noise(self, prompts: list[dict[str, Any]]) -> float:
        """Return how far a prompt's first logits move when it shares a batch with its neighbour, left-padded."""
        furthest = 0.0
        for place in range(len(prompts) - 1):
            pair = prompts[place : place + 2]
            tiles = [self._tiles(prompt) for prompt in pair]
            queries = [self._query(pair[side], [len(image) for image in tiles[side]]) for side in (0, 1)]
            self._tokenizer.padding_side = "left"
            batch = self._tokenizer([query for query, _ in queries], return_tensors="pt", padding=True)
            pixels = _stack(tiles[0] + tiles[1])
            stop = queries[0][1]
            _, together = self._generate(batch["input_ids"], batch["attention_mask"], pixels, stop, 1)
            for side in (0, 1):
                ids = self._tokenizer(queries[side][0], return_tensors="pt")["input_ids"]
                _, alone = self._generate(ids, None, _stack(tiles[side]), stop, 1)
                furthest = max(furthest, float((together[side] - alone[0]).abs().max()))
        return furthest

    def device_name(self) -> str:
        """Return the name of the hardware the language model is on."""
        import torch

        if self._device.type == "cuda":
            return str(torch.cuda.get_device_name(self._device))
        return str(self._device)

    def _tiles(self, prompt: dict[str, Any]) -> list[Any]:
        """Return the tiles of every image, float32 of shape (tiles, 3, side, side)."""
        from PIL import Image

        config = self.model.config
        side = getattr(config, "force_image_size", None) or config.vision_config.image_size
        most = prompt["max_tiles"] or getattr(config, "max_dynamic_patch", 12)
        files = [part["image"] for part in prompt["parts"] if "image" in part]
        if prompt["prompt_tiles"] and files:
            most = max(1, min(most, prompt["prompt_tiles"] // len(files)))
        if not getattr(config, "dynamic_image_size", True):
            most = 1
        found = []
        for number, file in enumerate(files):
            image = Image.open(file).convert("RGB")
            if number == 0 and prompt["first_image_scale"]:
                scale = prompt["first_image_scale"]
                image = image.resize((image.width * scale, image.height * scale), Image.Resampling.BILINEAR)
            cut = cut_into_tiles(image, prompt["min_tiles"], most, side, getattr(config, "use_thumbnail", True))
            found.append(_normalised(cut))
        return found

    def _query(self, prompt: dict[str, Any], tiles: list[int]) -> tuple[str, str]:
        """Return the prompt by the model's own template, as its ``chat`` writes it, and what ends an answer."""
        template_of = getattr(sys.modules[type(self.model).__module__], "get_conv_template", None)
        if template_of is None:
            raise OriginalError("the checkpoint's code has no get_conv_template; this is no InternVL chat model")
        template = template_of(self.model.template)
        template.system_message = self.model.system_message
        template.append_message(template.roles[0], question(prompt["parts"]))
        template.append_message(template.roles[1], None)
        query = template.get_prompt()
        for count in tiles:
            query = query.replace(PLACE, START + CONTEXT * (self.model.num_image_token * count) + END, 1)
        return query, template.sep.strip()

    def _generate(self, ids: Any, mask: Any, pixels: Any, stop: str, new_tokens: int) -> tuple[Any, Any]:
        """Return new token ids and the first token's logits (float32), one row for each row of ``ids``."""
        import torch
        from transformers import LogitsProcessorList

        kept: list[Any] = []

        def keep_first(_: Any, scores: Any) -> Any:
            if not kept:
                kept.append(scores.detach().float().cpu().clone())
            return scores

        if pixels is not None:
            pixels = torch.from_numpy(pixels).to(self._device, self._dtype)
        with torch.no_grad():
            new = self.model.generate(
                pixel_values=pixels,
                input_ids=ids.to(self._device),
                attention_mask=(torch.ones_like(ids) if mask is None else mask).to(self._device),
                do_sample=False,
                num_beams=1,
                max_new_tokens=new_tokens,
                eos_token_id=self._tokenizer.convert_tokens_to_ids(stop),
                logits_processor=LogitsProcessorList([keep_first]),
            )
        return new.cpu(), kept[0]


def question(parts: list[dict[str, Any]]) -> str:
    """Return a user's turn with ``<image>`` in the places of its images.

    One image comes first on a line of its own. Several come first as ``Image-1: <image>`` lines, and ``<Image-1>``
    marks their places in the text unless all marks stand together: VLMEvalKit's rule for this family.
    """
    images = sum("image" in part for part in parts)
    texts = [part["text"] for part in parts if "text" in part]
    if images == 0:
        return "\n".join(texts)
    if images == 1:
        return PLACE + "\n" + "\n".join(texts)
    written, number = "", 0
    for part in parts:
        if "image" in part:
            number += 1
            written += f"<Image-{number}>"
        else:
            written += part["text"]
    numbers = range(1, images + 1)
    written = written.replace("".join(f"<Image-{number}>" for number in numbers), "")
    return "".join(f"Image-{number}: {PLACE}\n" for number in numbers) + written


def cut_into_tiles(image: Any, least: int, most: int, side: int, thumbnail: bool) -> list[Any]:
    """Return an image as square tiles by the published rule: the grid nearest to its aspect ratio, then a thumbnail."""
    grids = {
        (columns, rows)
        for count in range(least, most + 1)
        for columns in range(1, count + 1)
        for rows in range(1, count + 1)
        if least <= columns * rows <= most
    }
    columns, rows = nearest_grid(image.width, image.height, sorted(grids, key=lambda grid: grid[0] * grid[1]), side)
    whole = image.resize((side * columns, side * rows))
    tiles = [
        whole.crop((side * column, side * row, side * (column + 1), side * (row + 1)))
        for row in range(rows)
        for column in range(columns)
    ]
    return [*tiles, image.resize((side, side))] if thumbnail and len(tiles) != 1 else tiles


def nearest_grid(width: int, height: int, grids: list[tuple[int, int]], side: int) -> tuple[int, int]:
    """Return the grid whose aspect ratio is nearest; of equally near ones a later one if the image half fills it."""
    best, smallest = (1, 1), float("inf")
    for columns, rows in grids:
        apart = abs(width / height - columns / rows)
        if apart < smallest:
            best, smallest = (columns, rows), apart
        elif apart == smallest and width * height > 0.5 * side * side * columns * rows:
            best = (columns, rows)
    return best


def _normalised(tiles: list[Any]) -> Any:
    import numpy

    stacked = numpy.stack([numpy.asarray(tile) for tile in tiles]).astype(numpy.float32) / numpy.float32(255)
    shifted = (stacked - numpy.array(MEAN, numpy.float32)) / numpy.array(DEVIATION, numpy.float32)
    return numpy.ascontiguousarray(shifted.transpose(0, 3, 1, 2))


def _stack(tiles: list[Any]) -> Any:
    import numpy

    return numpy.concatenate(tiles) if tiles else None


def _description(pixels: Any) -> dict[str, Any] | None:
    if pixels is None:
        return None
    return {"shape": list(pixels.shape), "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}


def _load(job: dict[str, Any], reference: str, dtype: Any) -> Any:
    """Return the model in the checkpoint's own class, on its device."""
    from transformers import AutoConfig, AutoModel
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    folder = job["checkpoint"]
    settings: dict[str, Any] = {"torch_dtype": dtype, "trust_remote_code": True}
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    # Published configurations ask for flash attention, which knows no float32 and rounds otherwise; and what the code
    # sets where it is not installed does not reach every language model.
    config.llm_config._attn_implementation = "eager"
    settings["config"] = config
    kind = get_class_from_dynamic_module(reference, folder)
    if "use_flash_attn" in inspect.signature(kind).parameters:
        settings["use_flash_attn"] = False
    if job["device_map"]:
        settings["device_map"] = job["device_map"]
    model = AutoModel.from_pretrained(folder, **settings).eval()
    return model if job["device_map"] else model.to(job["device"])


def code_reference(folder: Path) -> str:
    """Return what the checkpoint calls its own model class; refuse one without its code."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    reference = config.get("auto_map", {}).get("AutoModel")
    if not isinstance(reference, str):
        raise OriginalError("config.json names no code of its own for AutoModel (auto_map)")
    own = reference.split("--")[-1].split(".")[0] + ".py"
    if not (folder / own).is_file():
        raise OriginalError(f"{own} is missing beside config.json: download the repository with its .py files")
    return reference


def _load_tokenizer(folder: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=True, use_fast=False)


def _versions(accepted: list[str] | None) -> dict[str, str]:
    """Return the versions of what counts; refuse an interpreter that lacks something or has other transformers."""
    here = _installed("transformers")
    if accepted and here and not _numbers(accepted[0]) <= _numbers(here) <= _numbers(accepted[1]):
        raise OriginalError(
            f"{sys.executable} has transformers {here}, and the published code runs under {accepted[0]} to"
            f" {accepted[1]}; use the pinned environment"
        )
    found = {"python": sys.version.split()[0]}
    missing = []
    for name in NEEDED:
        try:
            found[name] = str(importlib.import_module(name).__version__)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        raise OriginalError(f"{sys.executable} cannot import {', '.join(missing)}; use the pinned environment")
    return found


def _installed(package: str) -> str | None:
    """Return a package's version without importing it, which may take seconds."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:3] if part.isdigit()]


def _quieten() -> None:
    logging: Any = importlib.import_module("transformers").logging
    logging.set_verbosity_error()


def _stand_in_for_timm() -> list[str]:
    """Where timm does not import, stand in for the one class the code takes of it: no operation outside of training.

    timm needs torchvision, which does not import beside every build of torch. Returns what is stood in for.
    """
    import torch

    try:
        importlib.import_module("timm.models.layers")
        return []
    except Exception:  # a torchvision of another build raises nearly anything
        for name in [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]:
            del sys.modules[name]

    class DropPath(torch.nn.Identity):
        """Drops nothing, which is what the real one does at inference."""

    modules = [types.ModuleType(name) for name in ("timm", "timm.models", "timm.models.layers")]
    modules[2].DropPath = DropPath  # type: ignore[attr-defined]
    for module in modules:
        module.__path__ = []
        module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)  # transformers asks for it
        sys.modules[module.__name__] = module
    return ["timm.DropPath"]


def _code(folder: str) -> dict[str, str]:
    """Return the SHA-256 of every Python file of the checkpoint."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(Path(folder).glob("*.py"))}


def _save(file: Path, array: Any) -> None:
    import numpy

    content = io.BytesIO()
    numpy.save(content, array, allow_pickle=False)
    _write(file, content.getvalue())


def _write(file: Path, content: bytes) -> None:
    part = file.with_suffix(".part")
    part.write_bytes(content)
    part.replace(file)


if __name__ == "__main__":
    main()
