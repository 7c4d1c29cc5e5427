"""What a machine can do, and where a model's seconds go: the clocks and counts of ``gpu.py``."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from layouts import Layout, Size, Tower


@dataclass(frozen=True)
class Machine:
    """Where the models run, and what it can do: operations per second of a large matrix product."""

    device: str
    dtype: torch.dtype
    name: str
    matrix_rate: float

    def wait(self) -> None:
        """Return when the device has done all it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def peak_memory(self, *, reset: bool = False) -> float:
        """Return the most GiB held since the last reset; on a CPU, the most this process ever held."""
        if self.device == "cuda":
            peak = torch.cuda.max_memory_allocated()
            if reset:
                torch.cuda.reset_peak_memory_stats()
            return peak / 2**30
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@dataclass
class Phases:
    """Seconds and operations of the towers, by phase."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("encode", "prefill", "decode"), 0.0))
    operations: float = 0.0


@contextmanager
def watched(model: Any, layout: Layout, size: Size, machine: Machine) -> Iterator[Phases]:
    """Measure vision tower and language model call by call, each after everything before it has finished."""
    base, phases = model.base_model, Phases()
    vision = getattr(base, "vision_tower", None) or base.visual
    text = base.language_model
    window = layout.window(size)
    vision_weights, text_weights = _layer_weights(vision), _layer_weights(text)
    started: list[float] = []

    def before(*_: Any) -> None:
        machine.wait()
        started.append(time.perf_counter())

    def spent() -> float:
        machine.wait()
        return time.perf_counter() - started.pop()

    def after_vision(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], __: Any) -> None:
        pixels = next(value for value in (*args, *kwargs.values()) if torch.is_tensor(value))
        tokens = pixels.shape[0] * (window if pixels.ndim == 4 else 1)  # Qwen's are patches of all pictures in one row
        phases.seconds["encode"] += spent()
        phases.operations += _operations(vision_weights, size.vision, tokens, window)

    def after_text(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        rows, length, _ = output.last_hidden_state.shape
        keys = output.past_key_values.get_seq_length()
        phases.seconds["decode" if length == 1 else "prefill"] += spent()
        phases.operations += _operations(text_weights, size.text, rows * length, keys)
        phases.operations += 2 * rows * size.text.hidden * size.vocabulary

    hooks = [module.register_forward_pre_hook(before) for module in (vision, text)]
    hooks += [
        module.register_forward_hook(after, with_kwargs=True)
        for module, after in ((vision, after_vision), (text, after_text))
    ]
    try:
        yield phases
    finally:
        for hook in hooks:
            hook.remove()


def _layer_weights(tower: Any) -> int:
    lists = (module for module in tower.modules() if isinstance(module, torch.nn.ModuleList))
    layers = max(lists, key=lambda module: sum(weight.numel() for weight in module.parameters()))
    return sum(weight.numel() for weight in layers.parameters())


def _operations(weights: int, tower: Tower, tokens: int, keys: int) -> float:
    return 2.0 * weights * tokens + 4.0 * tower.layers * tower.hidden * tokens * keys


def find_machine(*, tiny: bool) -> Machine:
    if tiny:
        torch.set_num_threads(1)
        return Machine("cpu", torch.float32, "CPU, miniature models", _matrix_rate("cpu", torch.float32, 512))
    if not torch.cuda.is_available():
        raise SystemExit("bench/gpu.py needs a GPU that torch can use; --host or --tiny run without one")
    rate = _matrix_rate("cuda", torch.bfloat16, 8192)
    return Machine("cuda", torch.bfloat16, torch.cuda.get_device_name(), rate)


def _matrix_rate(device: str, dtype: torch.dtype, side: int, products: int = 20) -> float:
    one, two = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(3):
        one @ two
    wait()
    started = time.perf_counter()
    for _ in range(products):
        one @ two
    wait()
    return 2.0 * side**3 * products / (time.perf_counter() - started)
