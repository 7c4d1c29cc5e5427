"""A real HTTP server on this machine that speaks as much of the Hugging Face hub's API as a snapshot download needs.

It serves what lies in folders, commit by commit, and misbehaves on request.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass
class Repository:
    """Commits by hash with the files of each, branches, and how requests for it are refused.

    ``refusal`` is a status and the hub's error code for every request, ``file_refusal`` for those of files; ``cut`` is
    how many bytes of a file are sent before the connection breaks, once.
    """

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    refusal: tuple[int, str] | None = None
    file_refusal: tuple[int, str] | None = None
    cut: dict[str, int] = field(default_factory=dict)


class HubServer:
    """Serves repositories while the context lasts; ``asked`` lists method, path and range of every request."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[tuple[str, str, str | None]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def publish(self, name: str, files: dict[str, bytes], branch: str = "main") -> str:
        """Commit ``files`` to a branch; return the commit's hash."""
        digest = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        repository = self.repositories.setdefault(name, Repository({}, {}))
        repository.commits[digest] = files
        repository.branches[branch] = digest
        return digest

    def downloaded(self) -> list[str]:
        """Names of the files whose content was asked for, each as often as it was."""
        found = (re.search(r"/resolve/[^/]+/(.*)", path) for method, path, _ in self.asked if method == "GET")
        return sorted(match[1] for match in found if match)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        hub: HubServer = self.server.hub  # type: ignore[attr-defined]
        path = self.path.partition("?")[0]
        hub.asked.append((self.command, path, self.headers.get("Range")))
        api = re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = api or file
        repository = hub.repositories.get(match[1]) if match else None
        if match is None or repository is None:
            self._refuse(404, "RepoNotFound")
            return
        if refusal := repository.refusal or (repository.file_refusal if file else None):
            self._refuse(*refusal)
            return
        revision = (match[3] or "main") if api else match[2]
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            self._refuse(404, "RevisionNotFound")
        elif file:
            self._send_file(repository, commit, file[3])
        elif match[2] == "tree":
            self._send_json([_listed(name, content) for name, content in repository.commits[commit].items()])
        else:
            siblings = [{"rfilename": name} for name in repository.commits[commit]]
            self._send_json({"_id": "0", "id": match[1], "sha": commit, "private": False, "siblings": siblings})

    def _send_file(self, repository: Repository, commit: str, name: str) -> None:
        content = repository.commits[commit].get(name)
        if content is None:
            self._refuse(404, "EntryNotFound")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{_blob_id(content)}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = repository.cut.pop(name, None)
        self.wfile.write(content[start:][:cut])
        self.close_connection = cut is not None

    def _send_json(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _listed(name: str, content: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(content), "oid": _blob_id(content)}


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
