"""A server that replies as a test's function says, and models behind it that answer a shard."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.chat_server import completion
from vlmake.backends.base import StreamingBackend
from vlmake.backends.endpoint import load
from vlmake.data.images import ImageWriter
from vlmake.inference.answering import Pace
from vlmake.inference.loaded_model import LoadedModel, answer_shard
from vlmake.inference.shard import Asking, make_question
from vlmake.inference.shard_work import Shard, ShardFiles
from vlmake.models.model_spec import ModelSpec, RuntimeOptions
from vlmake.registry.model_entries import EndpointEntry

ASKING = Asking("digest", 16)
PAGE = "<html><h1>Request blocked</h1></html>"
NO_ONE = "http://127.0.0.1:9"  # nothing listens there

Reply = tuple[int, str | dict[str, Any], Mapping[str, str]]


@contextlib.contextmanager
def server(reply: Callable[[str], Reply]) -> Iterator[tuple[str, list[str]]]:
    """A server that replies as a function of the question says; its address, and what it was asked."""
    asked: list[str] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][0]["content"]
            asked.append(question)
            status, content, headers = reply(question)
            body = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            for name, text in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()


def blocking(question: str) -> Reply:
    """A firewall's page for some questions, answers to the others."""
    return (403, PAGE, {}) if "blocked" in question else (200, completion(question), {})


def spec(url: str, name: str = "M", **keys: Any) -> ModelSpec:
    values = {"backend": "endpoint", "api_base": url, "served_model": "m", "nproc": 1, "retry_interval": 0.001, **keys}
    return ModelSpec(name, EndpointEntry.model_validate(values), Path(), "endpoint:m@")


def shard(folder: Path, texts: list[str]) -> Shard:
    journal = folder / "results" / "M" / "D" / "journal"
    files = ShardFiles("D", 0, 1, folder / "samples.parquet", folder / "images.arrow", journal)
    with ImageWriter(files.images):
        pass
    questions = [make_question(ASKING, text, [{"type": "text", "text": text}], None) for text in texts]
    return Shard(files, ASKING, questions, range(len(questions)), 0)


def answered(work: Shard, model: ModelSpec, backend: StreamingBackend | None = None) -> dict[str, str]:
    """Answer a shard's open questions; the status of every row."""
    loaded = LoadedModel(backend or load(model, RuntimeOptions("cpu")), (), Pace(1))
    answer_shard(work, work.todo(None), model, lambda: loaded)
    return {item.index: item.status for item in work.answers().values()}
