"""Keys of servers: where they are found, and that no text of ours shows one."""

import html
import json
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from vlmake.endpoints.keys import Key, read_key
from vlmake.errors import VlmakeError

SECRET = "sk-live-0a1b2c3d4e5f6071"


def test_a_variable_of_the_environment_goes_before_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"# keys\nONE='{SECRET}'\nexport TWO= two ${{HOME}}\n", encoding="utf-8")
    assert read_key("ONE", tmp_path) == Key("ONE", SECRET)
    assert read_key("TWO", tmp_path).value == "two ${HOME}"
    monkeypatch.setenv("ONE", " from-the-environment\n")
    assert read_key("ONE", tmp_path).headers() == {"Authorization": "Bearer from-the-environment"}


def test_without_a_variable_there_is_no_key(tmp_path: Path) -> None:
    assert read_key(None, tmp_path).headers() == {}


@pytest.mark.parametrize("content", [None, "OTHER=1\n", "MY_KEY=\n", "MY_KEY='  '\n"])
def test_a_key_that_is_nowhere_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".env").write_text(content, encoding="utf-8")
    with pytest.raises(VlmakeError, match=r"set the environment variable MY_KEY, or write MY_KEY=\.\.\. into \.env"):
        read_key("MY_KEY", tmp_path)


@pytest.mark.parametrize(
    "key", [SECRET, "sk_test_1234", "AIzaSyA1b2C3d4E5f6G7h8I9", "12ab.cdEF", "a1" * 16, "two words"]
)
def test_a_key_in_place_of_its_name_is_not_printed(tmp_path: Path, key: str) -> None:
    with pytest.raises(VlmakeError, match="write the NAME of the environment variable") as caught:
        read_key(key, tmp_path)
    assert key not in str(caught.value)


def test_a_long_name_in_small_letters_is_a_name_where_it_is_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("my_key_of_the_year_2026=abc123\n", encoding="utf-8")
    assert read_key("my_key_of_the_year_2026", tmp_path).value == "abc123"


def test_a_key_of_two_lines_is_said_so(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'MY_KEY="{SECRET}\nmore"\n', encoding="utf-8")
    with pytest.raises(VlmakeError, match="the key in MY_KEY holds a line break") as caught:
        read_key("MY_KEY", tmp_path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f'MY_KEY="{SECRET}', 1),
        (f'# keys\nOTHER=1\n\n  export MY_KEY="{SECRET}\nMORE=1\n', 4),
        (f"what is this\nMY_KEY='{SECRET}\n", 2),
        (f"OTHER=1\n{SECRET} is the key\n", 2),
    ],
)
def test_a_line_of_dotenv_that_is_no_assignment_is_named_where_the_key_is_missing(
    tmp_path: Path, content: str, line: int
) -> None:
    (tmp_path / ".env").write_text(content, encoding="utf-8")
    with pytest.raises(VlmakeError, match=rf"no key: .*\.env, line {line} is no NAME=value") as caught:
        read_key("MY_KEY", tmp_path)
    assert SECRET not in str(caught.value)


def test_dotenv_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfeM\0Y\0")
    with pytest.raises(VlmakeError, match="UnicodeDecodeError"):
        read_key("MY_KEY", tmp_path)


def test_no_text_holds_the_key() -> None:
    key = Key("MY_KEY", SECRET)
    assert SECRET not in f"{key} {key!r} {key.where()}"
    assert key.hidden_in(f"Incorrect API key provided: {SECRET}.") == "Incorrect API key provided: ***."
    assert key.hidden_in("Incorrect API key provided: sk-live*****6071.") == "Incorrect API key provided: ***"
    assert key.hidden_in("bad Bearer abc123def") == "bad ***"
    assert key.hidden_in("Bearer sk-proj-of+another/s=1 is bad") == "*** is bad"
    assert Key("MY_KEY", "EMPTY").hidden_in("EMPTY is not EMPTY") == "EMPTY is not EMPTY"


@pytest.mark.parametrize(
    "value",
    [
        "sk-proj-abcDEF123+/=xyz987654",
        "käse-schlüssel-42/ü",
        "k😀y\"&<'\\>-0a1b2c3d",
        "AIzaSyA1b2C3d4E5f6G7h8I9",
        "€uro key 2026",
    ],
)
def test_a_key_is_blanked_in_every_form_in_which_servers_quote_it(value: str) -> None:
    key = Key("MY_KEY", value)
    in_json = json.dumps(value)[1:-1]
    utf8 = value.encode()
    quoted = [
        value,
        in_json,
        json.dumps(value, ensure_ascii=False)[1:-1],
        in_json.replace("/", "\\/"),
        json.dumps(in_json)[1:-1],
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        quote(value, safe="").replace("%2B", "%2b").replace("%2F", "%2f"),
        html.escape(value),
        utf8.decode("latin-1"),
        json.dumps(utf8.decode("latin-1"))[1:-1],
        quote(utf8.decode("latin-1")),
        utf8.decode("cp1252", "replace").replace("\ufffd", "?"),
        value.encode("latin-1", "replace").decode("utf-8", "replace"),
        value.encode("ascii", "replace").decode(),
        repr(utf8)[2:-1],
    ]
    for form in quoted:
        for text in (f"Bearer {form} is wrong", f'{{"Authorization": "Bearer {form}"}}', f"key={form}&x=1", form):
            hidden = key.hidden_in(text)
            assert "***" in hidden
            assert not parts_of(form) & parts_of(hidden), hidden
            assert key.hidden_in_answer(f"It says {form}!") == "It says ***!"


def parts_of(text: str) -> set[str]:
    """All stretches of four characters, but of the blank itself."""
    return {text[place : place + 4] for place in range(len(text) - 3)} - {"****"}


@pytest.mark.parametrize("value", ["sk-proj-abcDEF123+/=xyz987654", "AIzaSyA1b2C3d4E5f6G7h8I9", "Zq7+Zq7+Zq7+Zq7+w"])
def test_a_part_of_a_key_is_blanked_too(value: str) -> None:
    key = Key("MY_KEY", value)
    for cut in (value[:12], value[:-1], value[1:], value[5:14]):
        for text in (f"bad key {cut}...", f"bad key {cut}", cut):
            assert cut[-8:] not in key.hidden_in(text)
    masked = f"{value[:10]}*****{value[-9:]}"
    assert value[:10] not in key.hidden_in(masked)
    assert value[-9:] not in key.hidden_in(masked)


@pytest.mark.parametrize("value", ["EMPTY", "password", "12345678", "abc123"])
def test_a_word_or_number_that_a_model_may_well_say_stays_in_its_answer(value: str) -> None:
    assert Key("MY_KEY", value).hidden_in_answer(f"It says {value}.") == f"It says {value}."
