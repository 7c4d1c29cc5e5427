"""JSON for servers: plain ASCII, so that no wrong guess at an encoding changes an answer."""

import json
from typing import Any


def json_text(content: Any) -> str:
    """Return a file's content with one entry a line."""
    return json.dumps(content, ensure_ascii=True, indent=0, allow_nan=False) + "\n"
