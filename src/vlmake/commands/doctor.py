"""``vlmake doctor``: is this machine ready, and are the registered files what they should be?"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import click

from vlmake import paths
from vlmake.devices.finding import VENDORS, visible_devices
from vlmake.digests import checkpoint_files
from vlmake.endpoints.address import shown
from vlmake.endpoints.keys import Key, read_key
from vlmake.environments import building
from vlmake.environments.locks import Lock, find_lock, shipped_locks
from vlmake.errors import VlmakeError, counted
from vlmake.models import checkpoints, model_spec
from vlmake.registry.loading import load_registry, registry_folders
from vlmake.registry.model_entries import CheckpointEntry, EndpointEntry, ModelEntry, ServedEntry
from vlmake.registry.own_benchmarks import look_at_all
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import config_files, load_config

_ENOUGH_DISK_GB = 5
_IMPORT_SECONDS = 300


class Finding(NamedTuple):
    """One thing that was looked at; ``ok`` is None where it is only a fact."""

    ok: bool | None
    what: str
    detail: str


@click.command()
@click.option("--registry", multiple=True, type=click.Path(path_type=Path), help="Another registry folder.")
@click.pass_context
def command(ctx: click.Context, registry: tuple[Path, ...]) -> None:
    """Check Python, disk, devices, torch and the registered files; exit 1 when something is wrong."""
    config = load_config({}, config_files())
    known, faults = look_at_all(load_registry(registry_folders([*config.registry, *map(str, registry)])), config)
    wrong = 0
    for finding in _findings(Plan(known, config), faults):
        mark = {True: "ok   ", False: "WRONG", None: "     "}[finding.ok]
        click.echo(f"{mark} {finding.what}: {finding.detail}")
        wrong += finding.ok is False
    if wrong:
        click.echo(f"{counted(wrong, 'finding')} to attend to")
        ctx.exit(1)
    click.echo("all is well")


def _findings(plan: Plan, faults: Mapping[str, str]) -> Iterator[Finding]:
    yield Finding(sys.version_info >= (3, 11), "python", f"{sys.version.split()[0]} at {sys.executable}")
    for library in ("snakemake", "torch", "transformers", "pyarrow", "pandas", "pillow"):
        yield _library(library)
    yield _torch_loads()
    yield _torchvision()
    yield Finding(None, "Snakefile", str(paths.product_root() / "Snakefile"))
    yield Finding(None, "devices", _devices())
    yield _disk("work directory", Path.cwd())
    yield _disk("benchmark files", paths.lmu_data(plan.config.lmu_data))
    yield from _models(plan)
    yield from check_environments(plan)
    yield from check_datasets(plan, faults)


def check_datasets(plan: Plan, faults: Mapping[str, str]) -> Iterator[Finding]:
    """Look at every file that is here. Only what the configured run needs can be wrong; the rest is worth a note."""
    configured = set()
    for asked in plan.config.datasets:
        base = asked.partition("@")[0]
        if base in faults:
            configured.add(base)
            continue
        try:
            name = plan.registry.resolve_dataset(asked)
        except VlmakeError as error:
            yield Finding(False, f"dataset {asked}", str(error))
            continue
        configured |= {paths.parse_dataset(part).base for part in plan.parts(name) or [name]}
    for name, fault in faults.items():
        yield Finding(False if name in configured else None, f"dataset {name}", fault)
    present = 0
    for name, entry in plan.registry.datasets.items():
        if name in faults:
            continue
        if plan.tsv(name).is_file():
            present += 1
            finding = _tsv(plan, name)
            yield finding if finding.ok or name in configured else finding._replace(ok=None)
        elif entry.path:
            needed = name in configured and not _is_decoded(plan, name)
            yield Finding(False if needed else None, f"dataset {name}", f"{plan.tsv(name)} is not there")
    absent = len(plan.registry.datasets) - present
    yield Finding(None, "datasets", f"{present} present and checked, {absent} not here")


def check_environments(plan: Plan) -> Iterator[Finding]:
    """Look at the environments that are built, that could not be, and those that a configured model runs in.

    The others are counted. Nothing is resolved for it: a failure is that of the last run that wanted the environment.
    """
    entries = plan.registry.models.values()
    needed = {entry.run_in for entry in _configured(plan)}
    others = 0
    for run_in in dict.fromkeys([*(entry.run_in for entry in entries if entry.run_in), *shipped_locks()]):
        finding = _environment(find_lock(run_in), needed=run_in in needed)
        if finding is not None:
            yield finding
        others += finding is None
    yield Finding(None, "environments", f"{others} more are known and not built; a run builds what its models need")


def _environment(lock: Lock, *, needed: bool) -> Finding | None:
    """Return what is known of an environment; None for one that is not built, not needed and was never tried."""
    folder, what = building.environment_folder(lock.file, on_core=True), f"environment {lock.name}"
    if building.is_whole(folder):
        return Finding(True, what, f"built, {folder}")
    failure = building.last_failure(folder)
    if failure is not None:
        return Finding(False if needed else None, what, failure)
    if not needed:
        return None
    try:
        return Finding(None, what, f"not built yet; the run builds it with {building.find_uv()}")
    except VlmakeError as error:
        return Finding(False, what, str(error))


def _configured(plan: Plan) -> Iterator[ModelEntry]:
    for asked in plan.config.models:
        with suppress(VlmakeError):  # `_models` says it of an unknown name
            yield plan.registry.model(asked)


def _is_decoded(plan: Plan, name: str) -> bool:
    """Tell whether a run in this folder has the rows already, so that it does without the TSV."""
    return all(Path(path_of(name, plan.config.data_dir)).is_file() for path_of in (paths.samples, paths.images))


def _devices() -> str:
    visible = visible_devices()
    if not visible:
        return "none visible; models run on the CPU"
    vendor = VENDORS[visible[0].vendor]
    doubt = "" if vendor.verified else " (finding these is not verified on such a machine)"
    return f"{', '.join(device.id for device in visible)} from {vendor.title}{doubt}"


def _library(name: str) -> Finding:
    try:
        return Finding(True, name, version(name))
    except PackageNotFoundError:
        return Finding(False, name, "is not installed: pip install vlmake installs it")


def _torch_loads() -> Finding:
    """Import torch in a process of its own: a broken build may take the interpreter down."""
    program = "import torch; print(torch.__version__, 'cuda' if torch.cuda.is_available() else 'cpu only')"
    done = _python(program)
    detail = done.stdout.strip() or _last_line(done.stderr)
    return Finding(done.returncode == 0, "torch loads", detail)


def _torchvision() -> Finding:
    """A torchvision that cannot load breaks nearly all of transformers, since only its presence is looked at."""
    try:
        installed = version("torchvision")
    except PackageNotFoundError:
        return Finding(True, "torchvision", "absent, and not needed")
    done = _python("import torchvision")
    if done.returncode == 0:
        return Finding(True, "torchvision", installed)
    return Finding(False, "torchvision", f"{installed} does not fit this torch and breaks transformers; uninstall it")


def _python(program: str) -> subprocess.CompletedProcess[str]:
    command_line = [sys.executable, "-c", program]
    return subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=_IMPORT_SECONDS)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def _disk(what: str, folder: Path) -> Finding:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(nearest).free / 1e9
    return Finding(free >= _ENOUGH_DISK_GB, what, f"{folder}, {free:.0f} GB free")


def _models(plan: Plan) -> Iterator[Finding]:
    """Look at the configured models one by one; of the others there are too many."""
    looked_at = set()
    for asked in plan.config.models:
        try:
            name = plan.registry.resolve_model(asked)
        except VlmakeError as error:
            yield Finding(False, f"model {asked}", str(error))
            continue
        if name not in looked_at:
            looked_at.add(name)
            yield _checkpoint(plan, name)
    others = len(plan.registry.models) - len(looked_at)
    yield Finding(None, "models", f"{others} more are registered and not configured; `vlmake list models` names them")


def _checkpoint(plan: Plan, name: str) -> Finding:
    """Say whether a model's checkpoint is here, without any network."""
    entry, what = plan.registry.models[name], f"model {name}"
    try:
        checkpoints.require_environment(name, entry)
        key = read_key(entry.api_key, Path.cwd()) if isinstance(entry, ServedEntry) else Key(None)
        if isinstance(entry, EndpointEntry):
            return Finding(
                True, what, f"{entry.served_model} at {shown(entry.api_base)}, with {key.where()}; not asked"
            )
        if not isinstance(entry, CheckpointEntry):
            return Finding(None, what, model_spec.declared_identity(entry))
        found = checkpoints.look_up(entry, plan.config.hub)
        if found is None:
            return Finding(None, what, f"{checkpoints.planning_source(entry, plan.config.hub)} is to be downloaded")
        size = sum(file.stat().st_size for file in checkpoint_files(found, checkpoints.content(entry)))
    except VlmakeError as error:
        return Finding(False, what, str(error))
    converted = f", to be converted by {entry.converter}" if entry.converter else ""
    return Finding(True, what, f"{found}, {size / 1e6:.0f} MB{converted}")


def _tsv(plan: Plan, name: str) -> Finding:
    file, accepted = plan.tsv(name), [md5.lower() for md5 in plan.registry.datasets[name].md5]
    with file.open("rb") as content:
        md5 = hashlib.file_digest(content, "md5").hexdigest()
    if accepted and md5 not in accepted:
        return Finding(False, f"dataset {name}", f"{file} has md5 {md5}, expected {' or '.join(accepted)}")
    return Finding(True, f"dataset {name}", f"{file}, md5 {md5}")
