"""JSON for servers: plain ASCII, so that no wrong guess at an encoding changes an answer."""

import json
from typing import Any


def json_text(content: Any) -> str:
    """Return the content of a file."""
    return json.dumps(content, ensure_ascii=True, indent=1, allow_nan=False) + "\n"
