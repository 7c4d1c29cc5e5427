"""Downloads from file: URLs, files that are there already, and the record that the next step depends on."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmake.data.download import download, hash_file, source_record
from vlmake.data.transfer import shown_url
from vlmake.errors import VlmakeError

REPOSITORY = Path(__file__).parents[2]
CONTENT = b"index\timage\n1\tabc\n"
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0123456789abcdef" * 2


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    path = tmp_path / "there" / "a file.tsv"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def test_a_file_url_is_copied(origin: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "X.tsv"
    found = download([origin.as_uri()], [OTHER, MD5.upper()], target)
    assert found == {"md5": MD5, "sha256": SHA256, "size": len(CONTENT), "origin": origin.as_uri()}
    assert target.read_bytes() == CONTENT
    assert {path.name for path in target.parent.iterdir()} <= {"X.tsv", "X.tsv.lock"}
    os.umask(mask := os.umask(0))
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask


def test_the_second_mirror_is_used_when_the_first_is_missing(origin: Path, tmp_path: Path) -> None:
    found = download([(tmp_path / "gone").as_uri(), origin.as_uri()], [MD5], tmp_path / "X.tsv")
    assert found["origin"] == origin.as_uri()


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (["file:///nowhere/x.tsv"], "no such file"),
        (["file:///"], "not a regular file"),
        (["file://server/x.tsv"], "names a path on this machine"),
        (["ftp://host/x.tsv"], "only http, https and file"),
        (["x.tsv"], "only http, https and file"),
        (["http://[broken"], "an invalid URL"),
        ([], "no URL"),
    ],
)
def test_urls_that_give_nothing(tmp_path: Path, urls: list[str], words: str) -> None:
    with pytest.raises(VlmakeError, match=words):
        download(urls, [MD5], tmp_path / "X.tsv")
    assert not (tmp_path / "X.tsv").exists()


def test_a_wrong_file_never_gets_the_final_name(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(VlmakeError) as caught:
        download([origin.as_uri()], [OTHER], tmp_path / "X.tsv")
    for word in (origin.as_uri(), MD5, OTHER, f"{len(CONTENT)} bytes", "'index.image.1.abc.'"):
        assert word in str(caught.value)
    assert not (tmp_path / "X.tsv").exists() and not (tmp_path / "X.tsv.part").exists()


def test_what_lies_under_the_part_name_is_no_beginning(origin: Path, tmp_path: Path) -> None:
    (tmp_path / "X.tsv.part").write_bytes(b"left by someone, and longer than the file that is to come")
    download([origin.as_uri()], [MD5], tmp_path / "X.tsv")
    assert (tmp_path / "X.tsv").read_bytes() == CONTENT


@pytest.mark.parametrize("md5s", [[MD5], []])
def test_an_existing_file_is_used_as_it_is(tmp_path: Path, md5s: list[str]) -> None:
    target = tmp_path / "X.tsv"
    target.write_bytes(CONTENT)
    before = target.stat()
    found = download(["file:///nowhere/x.tsv"], md5s, target)
    assert found == {"md5": MD5, "sha256": SHA256, "size": len(CONTENT), "origin": "existing file"}
    assert target.stat() == before and [path.name for path in tmp_path.iterdir()] == ["X.tsv"]


def test_an_existing_wrong_file_is_neither_used_nor_overwritten(origin: Path, tmp_path: Path) -> None:
    target = tmp_path / "X.tsv"
    target.write_bytes(b"my own work\n")
    with pytest.raises(VlmakeError, match="move it away") as caught:
        download([origin.as_uri()], [MD5], target)
    assert str(target) in str(caught.value) and MD5 in str(caught.value)
    assert hashlib.md5(b"my own work\n").hexdigest() in str(caught.value)
    assert target.read_bytes() == b"my own work\n"


def test_a_malformed_md5_is_refused(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(VlmakeError, match="'12' is no md5 sum"):
        download([origin.as_uri()], ["12"], tmp_path / "X.tsv")


def test_records(origin: Path, tmp_path: Path) -> None:
    same = {"dataset": "X", "md5": MD5, "sha256": SHA256, "size": len(CONTENT)}
    local = source_record("X", origin)
    assert local == {**same, "file": "a file.tsv", "origin": "local file"}
    assert source_record("X", origin, md5s=[MD5]) == local
    fetched = source_record("X", tmp_path / "X.tsv", urls=[origin.as_uri()], md5s=[MD5])
    assert fetched == {**same, "file": "X.tsv", "origin": origin.as_uri()}
    with pytest.raises(VlmakeError, match="is not the registered file"):
        source_record("X", origin, md5s=[OTHER])
    with pytest.raises(VlmakeError, match="does not exist"):
        source_record("X", tmp_path / "gone.tsv")
    with pytest.raises(VlmakeError, match="not a regular file"):
        source_record("X", tmp_path)


def test_hashes_of_a_file_of_several_chunks(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "f").write_bytes(content)
    expected = (hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest(), len(content))
    assert hash_file(tmp_path / "f") == expected


TOKEN = "s3cr3t"


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_no_shown_url_holds_a_token(noise: str) -> None:
    safe = noise.replace("#", "").replace("?", "").replace("/", "").replace("@", "")
    for url in (f"https://me:{TOKEN}@host/{safe}", f"https://host/{safe}?key={TOKEN}", f"https://host/{safe}#{TOKEN}"):
        assert TOKEN not in shown_url(url)
    assert shown_url("https://me:x@host:8000/a/b.tsv?k=v#f") == "https://host:8000/a/b.tsv?…"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / "workflow/scripts/download.py"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    return subprocess.run(
        [sys.executable, script, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_program(origin: Path, tmp_path: Path) -> None:
    source = tmp_path / "d" / "source.json"
    (tmp_path / "datasets").mkdir()

    def get(name: str, **entry: object) -> subprocess.CompletedProcess[str]:
        entry |= {"task": "yes_no", "metric": "yes_no"}
        (tmp_path / "datasets" / "x.yaml").write_text(json.dumps({"datasets": {name: entry}}))
        return run("--registry", tmp_path, "--lmu-data", tmp_path, "--dataset", name, "--source", source)

    done = get("X", url=origin.as_uri(), md5=[OTHER, MD5])
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(source.read_text()) == source_record("X", tmp_path / "X.tsv") | {"origin": origin.as_uri()}
    source.unlink()
    failed = get("Y", url=origin.as_uri(), md5=OTHER)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert failed.stderr.startswith("vlmake download: cannot download Y.tsv: ")
    assert not source.exists()
    assert get("Z", path="gone.tsv").stderr.startswith("vlmake download: ")
    assert run("--nonsense").returncode == 2
