"""Questions on their way to a server: in which order they are asked."""

from pathlib import Path

from tests.chat_server import running
from vlmake.backends.endpoint import EndpointBackend
from vlmake.endpoints.address import chat_url
from vlmake.endpoints.client import Client
from vlmake.endpoints.exchange import Endpoint
from vlmake.endpoints.keys import Key
from vlmake.endpoints.messages import Wording
from vlmake.endpoints.spending import Spending
from vlmake.inference.journal import JournalWriter, all_predictions
from vlmake.inference.shard import Asking, Question, make_question
from vlmake.inference.streaming import answer_streaming


class Pictures:
    """Pictures whose bytes are their names."""

    def bytes(self, image_id: str) -> bytes:
        return image_id.encode()


def question(asking: Asking, number: int, *images: str) -> Question:
    parts = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": f"question {number}"}]
    return make_question(asking, str(number), parts, None)


def test_questions_on_one_image_are_asked_one_after_the_other(tmp_path: Path) -> None:
    asking = Asking("digest", 16)
    shown = [("a",), ("b",), (), ("a",), ("b", "a"), (), ("b",), ("a",), ("b", "a")]
    questions = [question(asking, number, *images) for number, images in enumerate(shown)]
    finished: list[str] = []
    writer = JournalWriter(tmp_path)
    with running() as server:
        client = Client(Endpoint(chat_url(server.url), Key(None), most=1, attempts=1, timeout=10.0), Spending())
        answer_streaming(
            questions,
            EndpointBackend(client, Wording("m"), None),
            Pictures(),
            writer,
            asking,
            epoch=0,
            advance=lambda done: finished.extend(item.index for item in done),
        )
        asked = [words.rpartition("question ")[2] for words in server.stats()["calls"]]
    writer.close()
    assert asked == finished == ["0", "3", "7", "1", "6", "2", "4", "8", "5"]
    assert [item.index for item in all_predictions(tmp_path)] == asked
