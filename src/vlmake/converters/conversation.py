"""InternVL's conversation templates as data, and as the Jinja chat template of a converted checkpoint.

The system sentence is part of a model's results and changed between releases under one template name, so it is read
from the ``conversation.py`` that comes with the checkpoint: its literals are parsed, nothing is run. The table below
serves a folder without that file.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlmake.errors import VlmakeError

if TYPE_CHECKING:
    from pathlib import Path

_SYSTEM_2 = (
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
)
_SYSTEM_2_5 = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)
_SYSTEM_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
_CHATML: dict[str, Any] = {
    "system_template": "<|im_start|>system\n{system_message}",
    "roles": ("<|im_start|>user\n", "<|im_start|>assistant\n"),
    "sep_style": "MPT",
}
BUILT_IN: dict[str, dict[str, Any]] = {
    "Hermes-2": {**_CHATML, "system_message": _SYSTEM_2, "sep": "<|im_end|>"},
    "internlm2-chat": {**_CHATML, "system_message": _SYSTEM_2, "sep": "<|im_end|>"},
    "internvl2_5": {**_CHATML, "system_message": _SYSTEM_2_5, "sep": "<|im_end|>\n"},
    "phi3-chat": {
        "system_template": "<|system|>\n{system_message}",
        "system_message": _SYSTEM_2,
        "roles": ("<|user|>\n", "<|assistant|>\n"),
        "sep_style": "MPT",
        "sep": "<|end|>",
    },
    "internvl_zh": {"roles": ("<human>", "<bot>"), "sep_style": "INTERNVL_ZH", "sep": "</s>", "sep2": " "},
    "vicuna_v1.1": {
        "system_message": _SYSTEM_VICUNA,
        "roles": ("USER", "ASSISTANT"),
        "sep_style": "ADD_COLON_TWO",
        "sep": " ",
        "sep2": "</s>",
    },
}
_STYLES = ("MPT", "INTERNVL_ZH", "ADD_COLON_TWO")


@dataclass(frozen=True)
class Conversation:
    """Text around the turns: ``system`` holds ``{system_message}``; a turn is its start, its text and its end."""

    system: str
    system_message: str
    user_start: str
    user_end: str
    assistant_prompt: str
    assistant_start: str
    assistant_end: str

    @property
    def stop(self) -> str:
        """The token that ends an answer."""
        return self.assistant_end.strip()


def read_conversation(folder: Path, name: str, system_message: str | None) -> Conversation:
    """Return the template that a checkpoint names, from its own ``conversation.py`` if it has one.

    ``system_message`` is the configuration's own, which goes before the template's. Raises VlmakeError for a template
    that is in neither place, or is of a style that no InternVL model uses.
    """
    file = folder / "conversation.py"
    found = (_registered(file) if file.is_file() else {}) or BUILT_IN
    if name not in found:
        raise VlmakeError(f"{folder}: conversation template {name!r} is not known; there are {', '.join(found)}")
    values = found[name]
    if system_message is not None:
        values = values | {"system_message": system_message}
    return _conversation(values, folder)


def jinja_template(conversation: Conversation, lead: str = "") -> str:
    """Return the chat template: ``lead``, the system sentence, the turns, and the start of the answer.

    Pictures are ordered as VLMEvalKit's ``InternVLChat`` orders them. In a single question one picture comes first on
    its own line; several come first as ``Image-i: <image>`` lines, and ``<Image-i>`` marks their places in the text
    unless they all stand together. In a conversation with earlier turns each picture keeps its place.
    """
    system, _, after_system = conversation.system.partition("{system_message}")
    constants = {
        "lead": lead + system,
        "system_message": conversation.system_message,
        "after_system": after_system,
        "user_start": conversation.user_start,
        "user_end": conversation.user_end,
        "assistant_start": conversation.assistant_start,
        "assistant_end": conversation.assistant_end,
        "assistant_prompt": conversation.assistant_prompt,
    }
    settings = "".join(f"{{%- set {key} = {_jinja_text(value)} -%}}\n" for key, value in constants.items())
    return settings + _TURNS


def _jinja_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_TURNS = r"""
{%- macro words(content) -%}
{%- if content is string -%}{{ content }}
{%- else -%}{{ content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join('\n') }}
{%- endif -%}
{%- endmacro -%}
{%- macro in_place(content) -%}
{%- for part in content -%}
{%- if part.type == 'image' -%}{{ '<IMG_CONTEXT>\n' }}{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}
{%- endmacro -%}
{%- macro pictures_first(content) -%}
{%- set places = namespace(number=0, together='', text='') -%}
{%- for part in content -%}
{%- if part.type == 'image' -%}
{%- set places.number = places.number + 1 -%}
{%- set mark = '<Image-' ~ places.number ~ '>' -%}
{%- set places.together = places.together ~ mark -%}
{%- set places.text = places.text ~ mark -%}
{{- 'Image-' ~ places.number ~ ': <IMG_CONTEXT>\n' -}}
{%- else -%}
{%- set places.text = places.text ~ part.text -%}
{%- endif -%}
{%- endfor -%}
{{- places.text | replace(places.together, '') -}}
{%- endmacro -%}
{%- if messages[0].role == 'system' -%}
{%- set system_message = words(messages[0].content) -%}
{%- endif -%}
{{- lead ~ system_message ~ after_system -}}
{%- set asked = messages | selectattr('role', 'equalto', 'user') | list | length -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}
{{- user_start -}}
{%- set pictures = 0 if message.content is string
    else message.content | selectattr('type', 'equalto', 'image') | list | length -%}
{%- if pictures == 0 -%}{{- words(message.content) -}}
{%- elif asked > 1 -%}{{- in_place(message.content) -}}
{%- elif pictures == 1 -%}{{- '<IMG_CONTEXT>\n' ~ words(message.content) -}}
{%- else -%}{{- pictures_first(message.content) -}}
{%- endif -%}
{{- user_end -}}
{%- elif message.role == 'assistant' -%}
{{- assistant_start ~ words(message.content) ~ assistant_end -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- assistant_prompt -}}{%- endif -%}
"""


def _conversation(values: dict[str, Any], where: Path) -> Conversation:
    style = values.get("sep_style")
    if style not in _STYLES:
        raise VlmakeError(f"{where}: conversation style {style!r} is not supported; there are {', '.join(_STYLES)}")
    user, assistant = values["roles"]
    message = values.get("system_message", "")
    system = values.get("system_template") or "{system_message}"
    if style == "MPT":
        end = values["sep"]
        return Conversation(system + end, message, user, end, assistant, assistant, end)
    # Both other styles part a question from its answer by one mark and end the answer by the other.
    between, end = sorted((values["sep"], values["sep2"]), key=lambda mark: bool(mark.strip()))
    system = "{system_message}" if style == "INTERNVL_ZH" else system
    return Conversation(
        system + between, message, f"{user}: ", between, f"{assistant}:", f"{assistant}: ", end
    )  # fmt: skip


def _registered(file: Path) -> dict[str, dict[str, Any]]:
    """Return the literal arguments of every ``Conversation(...)`` that the file registers, by name."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        raise VlmakeError(f"{file} is damaged ({error}); download it again") from error
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Conversation":
            values = {argument.arg: _literal(argument.value) for argument in node.keywords if argument.arg}
            if isinstance(values.get("name"), str):
                found[values["name"]] = {key: value for key, value in values.items() if value is not None}
    return found


def _literal(node: ast.expr) -> Any:
    """Return a literal's value, an enumeration member's name, or None for anything computed."""
    if isinstance(node, ast.Attribute):
        return node.attr
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
