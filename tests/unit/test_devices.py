"""Which devices a process may use, from what the vendors' programs print and the variables say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_devices import UUIDS, nvidia_smi, program
from vlmake.devices.finding import VENDORS, Device, cuda_devices, restriction, visible_devices

VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ASCEND_RT_VISIBLE_DEVICES",
)
PARTITIONS = ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb")
MIG_LINES = "\n".join(
    f"  MIG 3g.40gb     Device  {position}: (UUID: {uuid})" for position, uuid in enumerate(PARTITIONS)
)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH, and no variable set."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return folder


def ids() -> list[str]:
    return [device.id for device in visible_devices()]


def test_a_machine_without_devices_has_none(programs: Path) -> None:
    assert visible_devices() == ()


def test_all_gpus_are_visible_unless_the_variable_says_otherwise(programs: Path) -> None:
    nvidia_smi(programs)
    assert visible_devices() == tuple(Device("cuda", uuid) for uuid in UUIDS)


@pytest.mark.parametrize(
    ("declared", "positions"),
    [
        ("0", [0]),
        ("2,0", [2, 0]),
        (" 1 , 3 ", [1, 3]),
        ("01,+2", [1, 2]),
        ("1gpu,2", [1, 2]),  # the driver reads digits up to the first letter
        (UUIDS[2], [2]),
        ("GPU-0bad,GPU-f1", [3, 0]),
        ("GPU-a1b,GPU-a1f", [1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("none", []),
        ("0,2,-1,1", [0, 2]),
        ("0,4,1", [0]),
        ("1,,2", [1]),
        ("7", []),
        ("GPU-0bad,GPU-a1,GPU-f1", [3]),  # GPU-a1 is the start of two
        ("GPU-dead,GPU-f1", []),
        ("0,GPU-a1b", [0]),
        ("GPU-a1b,0", [1]),
        ("0,1,0", []),
        ("GPU-a1b,GPU-a1b2", []),
    ],
)
def test_cuda_variable(programs: Path, monkeypatch: pytest.MonkeyPatch, declared: str, positions: list[int]) -> None:
    nvidia_smi(programs)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", declared)
    assert ids() == [UUIDS[position] for position in positions]


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        (None, []),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,1", ["0", "1"]),
        ("3,-1,2", ["3"]),
        ("1,1", []),
        ("GPU-f1a2,GPU-0bad", ["GPU-f1a2", "GPU-0bad"]),
        ("MIG-GPU-f1a2/1/0", ["MIG-GPU-f1a2/1/0"]),
        ("GPU-$(x),GPU-0bad", []),
        ("GPU-" + "a" * 1000, []),
    ],
)
@pytest.mark.parametrize(
    "script",
    [
        None,
        "exit 9\n",
        "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18\n",
        "echo 'No devices were found'\n",
        "echo '0, [Unknown Error], [N/A]'\n",
        f"echo '0, {UUIDS[0]}, [N/A]'; exit 15\n",
        "printf '\\377\\376\\000'\n",
    ],
)
def test_without_an_answer_of_nvidia_smi_the_declared_names_count(
    programs: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, declared: str | None, names: list[str]
) -> None:
    if script is not None:
        program(programs, "nvidia-smi", script)
    if declared is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", declared)
    assert ids() == names


def test_a_program_that_cannot_be_started_counts_as_missing(programs: Path) -> None:
    program(programs, "nvidia-smi", "").joinpath("nvidia-smi").write_bytes(b"\x7fELF of another machine")
    assert visible_devices() == ()


def test_a_hanging_nvidia_smi_is_given_up(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs, "nvidia-smi", "exec /bin/sleep 1000\n")
    assert cuda_devices(seconds=0.2) == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert cuda_devices(seconds=0.2) == (Device("cuda", "1"),)


def test_a_lost_gpu_hides_no_other(programs: Path) -> None:
    lines = f"0, {UUIDS[0]}, Disabled\\n1, [GPU is lost], [GPU is lost]\\n2, {UUIDS[2]}, Disabled\\n"
    program(programs, "nvidia-smi", f"printf '{lines}'\n")
    assert ids() == [UUIDS[0], UUIDS[2]]


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        (None, [UUIDS[0], *PARTITIONS, UUIDS[2], UUIDS[3]]),
        ("1", list(PARTITIONS)),
        ("GPU-a1b,GPU-f1", [*PARTITIONS, UUIDS[0]]),
        (PARTITIONS[1], [PARTITIONS[1]]),
        ("MIG-cba", [PARTITIONS[1]]),
        ("MIG-GPU-a1b2c3d4/1/0", ["MIG-GPU-a1b2c3d4/1/0"]),
    ],
)
def test_a_gpu_in_mig_mode_stands_for_its_partitions(
    programs: Path, monkeypatch: pytest.MonkeyPatch, declared: str | None, names: list[str]
) -> None:
    nvidia_smi(programs, "Enabled", MIG_LINES)
    if declared is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", declared)
    assert ids() == names


def test_restricting_to_visible_devices_leaves_just_these_visible(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(programs, "Enabled", MIG_LINES)
    for devices in (visible_devices()[3:], visible_devices()[1:2]):
        with monkeypatch.context() as child:
            for variable, value in restriction(devices).items():
                child.setenv(variable, value)
            assert visible_devices() == devices


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ["GPU-00000000000000aa", "GPU-4fcbb8e0d2a1c3f5", "2"]),
        ({"ROCR_VISIBLE_DEVICES": "1"}, ["GPU-4fcbb8e0d2a1c3f5"]),
        ({"ROCR_VISIBLE_DEVICES": "2,1", "HIP_VISIBLE_DEVICES": "1"}, ["GPU-4fcbb8e0d2a1c3f5"]),
        ({"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"}, ["GPU-00000000000000aa"]),
        ({"CUDA_VISIBLE_DEVICES": "2"}, ["2"]),
        ({"ROCR_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "0"}, []),
    ],
)
def test_rocm_variables(
    programs: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], names: list[str]
) -> None:
    cards = '{"card0": {"Unique ID": "0xaa"}, "card1": {"Unique ID": "0x4fcbb8e0d2a1c3f5"}, "card2": {}, "system": {}}'
    program(programs, "rocm-smi", f"echo '{cards}'\n")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert visible_devices() == tuple(Device("rocm", name) for name in names)


def test_a_restricted_rocm_process_sees_just_its_devices(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(programs, "amd-smi", """echo '[{"gpu": 0, "hip_uuid": "GPU-0a"}, {"gpu": 1, "hip_uuid": "GPU-0b"}]'\n""")
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "1")
    (second,) = visible_devices()
    assert second == Device("rocm", "GPU-0b")
    for variable, value in restriction([second]).items():
        monkeypatch.setenv(variable, value)
    assert visible_devices() == (second,)


def test_ascend_devices_go_by_their_logic_id(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = (
        "\tNPU ID                         Chip ID                        Chip Logic ID                  Chip Name\n"
        "\t0                              0                              0                              Ascend 910B3\n"
        "\t0                              1                              -                              Mcu\n"
        "\t3                              0                              1                              Ascend 910B3\n"
    )
    program(programs, "npu-smi", f"[ \"$*\" = 'info -m' ] && echo '{table}'\n")
    assert visible_devices() == (Device("ascend", "0"), Device("ascend", "1"))
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "1")
    assert visible_devices() == (Device("ascend", "1"),)
    assert restriction(visible_devices()) == {"ASCEND_RT_VISIBLE_DEVICES": "1"}


def test_an_installed_program_outweighs_another_vendors_variable(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SLURM sets the variables of several vendors at once."""
    program(programs, "rocm-smi", """echo '{"card0": {"Unique ID": "0xaa"}}'\n""")
    for variable in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.setenv(variable, "0")
    assert [device.vendor for device in visible_devices()] == ["rocm"]


def test_what_was_never_tried_says_so() -> None:
    assert {name for name, vendor in VENDORS.items() if not vendor.verified} == {"rocm", "ascend"}


def test_devices_are_not_leased_once_torch_has_looked_at_them() -> None:
    program = (
        "import os, torch\nfrom vlmake.devices import gpus\nfrom vlmake.devices.finding import Device\n"
        "gpus.apply(gpus.Lease((), {}))\n"
        "try:\n    gpus.apply(gpus.Lease((Device('cuda', 'GPU-a'),), {'CUDA_VISIBLE_DEVICES': 'GPU-a'}))\n"
        "except gpus.VlmakeError as error:\n    print(error, os.environ.get('CUDA_VISIBLE_DEVICES'))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert re.match(r"torch was imported before .* None$", done.stdout.strip()), done.stdout + done.stderr
