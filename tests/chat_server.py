"""A chat-completions server that behaves as badly as it is told to, in a process of its own.

``python -m tests.chat_server '{"latency": 0.05, "fault_share": 0.3, "seed": 1}'`` prints its port. What it answers
depends on the question alone; GET /stats tells how it was asked.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

MIX = ("429", "429 after", "500", "503", "reset", "hang", "html", "cut json", "empty", "slow")
REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass
class ChatServer:
    """The settings of a server and what it counted."""

    latency: float = 0.0
    fault_share: float = 0.0
    faults: tuple[str, ...] = MIX
    seed: int = 0
    fixed: dict[str, Any] | None = None
    """``status`` and ``body`` of every reply."""
    most: int | None = None
    """More requests at once than this get a 429."""
    dies_at: str | None = None
    """The process ends when a question holds this."""
    mumbles: bool = False
    """Every other answer is one that rules cannot read."""
    clear_at: str | None = None
    """A question that holds this is answered clearly all the same."""
    judges: bool = False
    """Replies are verdicts: JSON that follows from the data in the prompt alone."""
    takes_schemas: bool = True
    """Without it a request for JSON is refused with a 400."""
    model: str = "judge-1"
    """What /v1/models lists."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.calls: dict[str, int] = {}
        self.under_way = self.peak = 0
        self.started: list[float] = []
        self.last: dict[str, Any] = {}
        self.keys: set[str] = set()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.started.append(time.time())
        self.keys.add(request.headers.get("Authorization", ""))
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            body = json.loads(await request.read())
            question = asked(body)
            self.calls[question] = self.calls.get(question, 0) + 1
            self.last = body
            if self.dies_at is not None and self.dies_at in question:
                sys.exit(1)
            if self.fixed is not None:
                return web.json_response(self.fixed["body"], status=self.fixed.get("status", 200))
            if not self.takes_schemas and "response_format" in body:
                return web.json_response({"error": {"message": "response_format is not supported"}}, status=400)
            if self.most is not None and self.under_way > self.most:
                return web.json_response({"error": {"message": "slow down", "code": "rate_limit"}}, status=429)
            if self.random.random() < self.fault_share:
                fault = await self.misbehave(request, self.random.choice(self.faults))
                if fault is not None:
                    return fault
            await asyncio.sleep(self.latency)
            return web.json_response(completion(question, text=self.text(question)))
        finally:
            self.under_way -= 1

    def text(self, question: str) -> str | None:
        if self.judges:
            return verdict(question)
        clear = not self.mumbles or (self.clear_at is not None and self.clear_at in question)
        mumbled = not clear and hashlib.sha256(question.encode()).digest()[1] % 2
        return "Well, that could be said in some way." if mumbled else None

    async def misbehave(self, request: web.Request, kind: str) -> web.StreamResponse | None:
        if kind.startswith("429"):
            headers = {"Retry-After": "1"} if "after" in kind else {}
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers=headers)
        if kind in ("500", "503"):
            return web.Response(status=int(kind), text="internal error")
        if kind == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if kind == "hang":
            await asyncio.sleep(60)
        if kind == "html":
            return web.Response(text="<html><h1>Welcome to nginx</h1></html>", content_type="text/html")
        if kind == "cut json":
            return web.Response(text='{"choices": [{"message": {"con', content_type="application/json")
        if kind == "wrong schema":
            return web.json_response(completion("", text='{"verdict": ["A", "B"]}'))
        if kind == "empty":
            return web.json_response(completion("", text=""))
        await asyncio.sleep(10)  # slow, but it answers
        return None

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def stats(self, _: web.Request) -> web.Response:
        content = {
            "calls": self.calls,
            "peak": self.peak,
            "started": self.started,
            "last": self.last,
            "keys": sorted(self.keys),
        }
        return web.json_response(content)


def asked(body: dict[str, Any]) -> str:
    """The words of a request, with the digests of its images in their places."""
    parts: list[str] = []
    for message in body["messages"]:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                parts.append(part["text"])
            else:
                data = part["image_url"]["url"].partition("base64,")[2]
                parts.append(f"<{hashlib.sha256(base64.b64decode(data)).hexdigest()}>")
    return " ".join(parts)


def verdict(prompt: str) -> str:
    """A verdict on the JSON line of a judge's prompt, of the kind asked for, by the line's digest.

    ``none`` is one of them, but for grades.
    """
    line = next((line for line in prompt.splitlines() if line.startswith("{") and line.endswith("}")), "{}")
    data = json.loads(line)
    digest = hashlib.sha256(line.encode()).digest()
    if "answer_2" in data:  # LLaVA-Bench
        return json.dumps({"grade_1": 1 + digest[0] % 10, "grade_2": 1 + digest[1] % 10})
    if "reference" in data:  # MM-Vet
        return json.dumps({"grade": digest[0] % 11 / 10})
    if "response" not in data:
        return '{"answer": "A"}'
    if "options" in data:
        labels = [*data["options"], "none"]
    elif "a list in brackets" in prompt:
        labels = ["[1, 2]", "[2, 3]", "none"]
    elif '{"answer": "X"}' in prompt:  # a short answer
        labels = ["1", "2", "none"]
    else:
        labels = ["Yes", "No", "none"]
    return json.dumps({"answer": labels[digest[0] % len(labels)]})


def completion(question: str, text: str | None = None) -> dict[str, Any]:
    """A chat completion; the text answers Yes or No by the question's digest."""
    if text is None:
        text = "Yes" if hashlib.sha256(question.encode()).digest()[0] % 2 else "No"
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 1}}


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/stats") as reply:
            found: dict[str, Any] = json.load(reply)
            return found


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[Running]:
    """Run a server with these settings; ``port`` may be given."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chat_server", json.dumps(settings)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    try:
        assert process.stdout is not None
        yield Running(int(process.stdout.readline()), process)
    finally:
        process.kill()
        process.wait()


async def serve(settings: dict[str, Any]) -> None:
    """Listen until the process is killed."""
    port = settings.pop("port", 0)
    server = ChatServer(**settings)
    application = web.Application(client_max_size=1 << 30)
    for path in ("/v1/chat/completions", "/chat/completions"):
        application.router.add_post(path, server.chat)
    application.router.add_get("/v1/models", server.models)
    application.router.add_get("/stats", server.stats)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
