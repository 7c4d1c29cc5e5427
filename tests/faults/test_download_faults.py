"""Downloads from a server that does everything wrong: never a bad file under the final name, and a line that helps."""

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.poison_server import HTML, PoisonServer
from vlmake.data.download import download
from vlmake.errors import VlmakeError

REPOSITORY = Path(__file__).parents[2]
CONTENT = b"index\tquestion\n" + random.Random(7).randbytes(300_000).replace(b"\n", b"\r")
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = {"pause": 0.01, "stall_seconds": 0.3, "connect_seconds": 2.0}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PoisonServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with PoisonServer(CONTENT) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "X.tsv"


def fails(urls: list[str], target: Path, md5s: list[str], **options: float) -> str:
    """Download, which has to fail; return the error's text."""
    with pytest.raises(VlmakeError) as caught:
        download(urls, md5s, target, **(QUICK | options))
    text = str(caught.value)
    assert not os.path.lexists(target), "a bad file got the final name"
    assert "\n" not in text and text.isprintable()
    assert str(target) in text
    return text


@pytest.mark.parametrize(
    ("how", "number", "words"),
    [
        ("html", 0, ["an HTML page", hashlib.md5(HTML).hexdigest(), MD5, f"{len(HTML)} bytes", "<!DOCTYPE html>"]),
        ("gzip", 0, ["Content-Encoding: gzip", MD5]),
        ("cut", 0, [f"after 0 of {len(CONTENT)} bytes", "cut", "(4 tries)"]),
        ("cut", 1, [f"of {len(CONTENT)} bytes", "cut", "(4 tries)"]),
        ("cut", len(CONTENT) // 2, [f"of {len(CONTENT)} bytes", "cut"]),
        ("cut", len(CONTENT) - 1, [f"of {len(CONTENT)} bytes", "cut"]),
        ("cut_chunked", 0, ["cut"]),
        ("cut_chunked", 200_000, ["cut"]),
        ("loop", 0, ["more than 10 redirects"]),
        ("status", 404, ["HTTP 404 Not Found"]),
        ("status", 403, ["HTTP 403 Forbidden"]),
        ("status", 206, ["HTTP 206"]),
        ("status", 503, ["HTTP 503 Service Unavailable", "(4 tries)"]),
        ("hang_up", 0, ["the connection failed or was cut", "(4 tries)"]),
    ],
)
@pytest.mark.parametrize("registered", [True, False])
def test_nothing_bad_gets_the_final_name(
    server: PoisonServer, target: Path, how: str, number: int, words: list[str], registered: bool
) -> None:
    text = fails([server.url(how, number)], target, [MD5] if registered else [])
    assert server.url(how, number) in text
    for word in words if registered else words[:1]:
        assert word in text, text
    assert not list(target.parent.glob("*.part*")), "a part that cannot be continued was left"


def test_a_wrong_file_is_described(server: PoisonServer, target: Path) -> None:
    text = fails([server.url("wrong")], target, ["0" * 32, MD5])
    actual = hashlib.md5(b"wrong\x1b[31m\tbytes" + CONTENT).hexdigest()
    assert f"wrong file: md5 {actual}, expected {'0' * 32} or {MD5}" in text
    assert f"{len(CONTENT) + 16:,} bytes" in text and "'wrong.[31m.bytesindex" in text and server.url("wrong") in text
    assert len(server.requests) == 1, "the same wrong file was fetched again"
    assert not list(target.parent.glob("*.part*"))


@pytest.mark.parametrize("how", ["html_untyped", "endless"])
def test_without_an_md5_the_file_has_to_prove_itself(server: PoisonServer, target: Path, how: str) -> None:
    text = fails([server.url(how)], target, [])
    assert "HTML page" in text if how == "html_untyped" else "does not say how long" in text


@pytest.mark.parametrize("how", ["good", "chunked", "moved", "endless"])
def test_good_answers_are_taken_with_an_md5(server: PoisonServer, target: Path, how: str) -> None:
    assert download([server.url(how)], [MD5], target, **QUICK)["md5"] == MD5
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("how", ["good", "chunked", "moved"])
def test_good_answers_are_taken_without_an_md5(server: PoisonServer, target: Path, how: str) -> None:
    found = download([server.url(how)], [], target, **QUICK)
    assert found == {
        "md5": MD5,
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "size": len(CONTENT),
        "origin": server.url(how),
    }
    assert sorted(path.name for path in target.parent.glob("*.part*")) == []


def test_a_stall_ends_and_says_so(server: PoisonServer, target: Path) -> None:
    begin = time.monotonic()
    text = fails([server.url("stall", 1000)], target, [MD5], attempts=2)
    assert "stalled: no data for 0.3 s" in text and "(2 tries)" in text
    assert time.monotonic() - begin < 10


def test_a_refused_connection_is_said_without_the_query(target: Path) -> None:
    text = fails(["http://user:secret1@127.0.0.1:9/file.tsv?token=secret2#secret3"], target, [MD5], attempts=1)
    assert "http://127.0.0.1:9/file.tsv?…" in text and "Connection refused" in text
    assert "secret" not in text


@pytest.mark.parametrize("how", ["wrong", "loop", "cut", "status", "hang_up", "stall", "html"])
def test_no_error_holds_a_token(server: PoisonServer, target: Path, how: str) -> None:
    url = server.url(how, 404 if how == "status" else 0, "?token=s3cret").replace("//", "//me:s3cret@")
    assert "s3cret" not in fails([url], target, [MD5], attempts=1)
    assert "hidden" not in fails([url], target, [], attempts=1) if how != "wrong" else True


def test_no_file_holds_a_token(server: PoisonServer, target: Path) -> None:
    url = server.url("cut_steps", 1000, "?token=s3cret")
    fails([url], target, [MD5], attempts=1)
    left = {path.name: path.read_bytes() for path in target.parent.iterdir()}
    assert "X.tsv.part.json" in left
    assert not any(b"s3cret" in content for content in left.values())


def test_mirrors_are_tried_in_order_and_all_are_named(server: PoisonServer, target: Path) -> None:
    mirrors = [server.url("status", 404), server.url("wrong"), server.url("good"), server.url("html")]
    assert download(mirrors, [MD5], target, **QUICK)["origin"] == server.url("good")
    assert [request.how for request in server.requests] == ["status", "wrong", "good"]
    text = fails([server.url("status", 404), server.url("html")], target.with_name("Y.tsv"), [MD5])
    assert text.index("HTTP 404") < text.index("HTML page")


def test_two_server_errors_are_survived(server: PoisonServer, target: Path) -> None:
    download([server.url("fails", 2)], [MD5], target, **QUICK)
    assert target.read_bytes() == CONTENT and len(server.requests) == 3


def test_tries_are_bounded(server: PoisonServer, target: Path) -> None:
    fails([server.url("fails", 99)], target, [MD5], attempts=3)
    assert len(server.requests) == 3


def test_a_cut_transfer_goes_on_where_it_stopped(server: PoisonServer, target: Path) -> None:
    download([server.url("cut_once", 123_456)], [MD5], target, **QUICK)
    first, second = server.requests
    assert target.read_bytes() == CONTENT
    assert second.range is not None and second.if_range == '"v1"'
    start = int(second.range.removeprefix("bytes=").rstrip("-"))
    assert 0 < start <= first.sent
    assert second.sent == len(CONTENT) - start, "more than the rest was transferred"


def test_a_later_run_goes_on_where_the_last_one_stopped(server: PoisonServer, target: Path) -> None:
    url = server.url("cut_steps", 100_000)
    for _ in range(3):
        fails([url], target, [MD5], attempts=1)
    download([url], [MD5], target, attempts=1, pause=0)
    assert target.read_bytes() == CONTENT
    assert [request.range is None for request in server.requests] == [True, False, False, False]
    assert sorted(path.name for path in target.parent.glob("*.part*")) == []


def test_a_whole_part_is_not_fetched_again(server: PoisonServer, target: Path) -> None:
    url = server.url("cut_steps", 1000)
    fails([url], target, [MD5], attempts=1)
    (target.parent / "X.tsv.part").write_bytes(CONTENT)  # as after a kill between the last byte and the rename
    download([url], [MD5], target, **QUICK)
    assert target.read_bytes() == CONTENT and server.sent()[1:] == [0]


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("how", ["no_range", "weak", "new_etag", "lying_etag", "same_etag", "wrong_range"])
def test_an_unsafe_continuation_starts_from_zero(
    server: PoisonServer, target: Path, how: str, registered: bool
) -> None:
    if how == "same_etag" and not registered:
        return  # only an md5 can tell
    download([server.url(how, 150_000)], [MD5] if registered else [], target, **QUICK)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1].sent == len(CONTENT)
    if how == "weak":
        assert all(request.range is None for request in server.requests)


def test_the_part_of_one_url_is_not_continued_from_another(server: PoisonServer, target: Path) -> None:
    fails([server.url("cut_steps", 1000)], target, [MD5], attempts=1)
    download([server.url("good")], [MD5], target, **QUICK)
    assert server.requests[-1].range is None and target.read_bytes() == CONTENT


def test_a_missing_mirror_leaves_the_part_of_the_other(server: PoisonServer, target: Path) -> None:
    cut = server.url("cut_steps", 100_000)
    fails([cut, server.url("status", 404)], target, [MD5], attempts=1)
    fails([cut], target, [MD5], attempts=1)
    assert server.requests[-1].range is not None


def program(target: Path, registry: Path, url: str) -> list[str]:
    """Return the command that downloads the dataset X from ``url`` to ``target``."""
    (registry / "datasets").mkdir(parents=True)
    entry = {"url": url, "md5": MD5, "task": "yes_no", "metric": "yes_no"}
    (registry / "datasets" / "x.yaml").write_text(json.dumps({"datasets": {target.stem: entry}}))
    script = str(REPOSITORY / "workflow/scripts/download.py")
    options = {"--registry": registry, "--lmu-data": target.parent, "--dataset": target.stem}
    options["--source"] = registry / "source.json"
    return [sys.executable, script, *(str(word) for pair in options.items() for word in pair)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "NO_PROXY": "127.0.0.1"}


def test_two_processes_share_one_download(server: PoisonServer, target: Path, tmp_path: Path) -> None:
    target.parent.mkdir()
    command = program(target, tmp_path / "registry", server.url("held"))
    children = [subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    first_line = ""
    try:
        waiting = [child for child in children if child.stderr]
        deadline = time.monotonic() + 20
        # Only the process that found the lock taken writes a line; it does so while the other one is held.
        os.set_blocking(waiting[0].stderr.fileno(), False)  # type: ignore[union-attr]
        os.set_blocking(waiting[1].stderr.fileno(), False)  # type: ignore[union-attr]
        while not first_line and time.monotonic() < deadline:
            for child in waiting:
                first_line = first_line or (child.stderr.readline() or "")  # type: ignore[union-attr]
            time.sleep(0.02)
        assert "waiting for another process" in first_line
        assert not target.exists()
        server.release.set()
        assert [child.wait(20) for child in children] == [0, 0]
    finally:
        for child in children:
            child.kill()
            child.stderr.close()  # type: ignore[union-attr]
            child.wait()
    assert target.read_bytes() == CONTENT
    assert server.sent() == [len(CONTENT)]


def test_a_killed_download_frees_the_lock(server: PoisonServer, target: Path, tmp_path: Path) -> None:
    target.parent.mkdir()
    child = subprocess.Popen(program(target, tmp_path / "registry", server.url("held")), env=environment())
    try:
        deadline = time.monotonic() + 20
        while not server.sent() or not server.sent()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        child.kill()
        child.wait()
    assert not target.exists()
    download([server.url("good")], [MD5], target, **QUICK)
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_said_in_one_line(server: PoisonServer, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(small)], capture_output=True
        ).returncode
        == 0
    )
    target = small / "X.tsv"
    command = program(target, tmp_path / "registry", server.url("good"))
    if not mounted:  # a limit on the size of a file stands in for a full disk
        command = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", *command]
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30)
        assert done.returncode == 1 and not target.exists()
        assert done.stderr.startswith("vlmake download: ") and done.stderr.count("\n") == 1
        assert str(target) in done.stderr and "the disk took no more bytes" in done.stderr
    finally:
        if mounted:
            subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("obstacle", ["file in the way", "folder in the way"])
def test_a_folder_that_cannot_be_used(server: PoisonServer, tmp_path: Path, obstacle: str) -> None:
    if obstacle == "file in the way":
        (tmp_path / "data").write_text("not a folder")
        words = "File exists"
    else:
        (tmp_path / "data" / "X.tsv").mkdir(parents=True)
        words = "not a regular file"
    with pytest.raises(VlmakeError, match=words):
        download([server.url("good")], [MD5], tmp_path / "data" / "X.tsv", **QUICK)
    assert server.requests == []
