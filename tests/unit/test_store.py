import stat
from pathlib import Path

import pytest

from vlmake.store import atomic_path, canonical_json, write_text


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_file_gets_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "atomic", "x")
    assert stat.S_IMODE((tmp_path / "atomic").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_text_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_text(tmp_path / "folder" / "a", "ü\r\n")
    assert (tmp_path / "folder" / "a").read_bytes() == "ü\r\n".encode()


def test_canonical_json_ignores_key_order() -> None:
    assert canonical_json({"b": 1, "a": {"d": "是", "c": None}}) == '{"a":{"c":null,"d":"是"},"b":1}'
    with pytest.raises(ValueError):
        canonical_json(float("nan"))
