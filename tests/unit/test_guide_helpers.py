"""What a class written for VLMEvalKit's development guide imports from ``vlmake.vlmeval``."""

from pathlib import Path

import pytest
from PIL import Image

from vlmake.vlmeval import (
    BaseModel,
    cn_string,
    concat_images_vlmeval,
    get_cache_path,
    parse_file,
    splitlen,
    version_cmp,
)


def test_messages_of_every_form(tmp_path: Path) -> None:
    file = tmp_path / "a.webp"
    file.write_bytes(b"")
    model, image = BaseModel(), {"type": "image", "value": str(file)}
    text = {"type": "text", "value": "What?"}
    forms = {"What?": [text], (str(file), "What?"): [image, text]}
    for given, expected in forms.items():
        assert model.preproc_content(list(given) if isinstance(given, tuple) else given) == expected
    assert model.preproc_content(text) == [text]
    assert model.preproc_content([image, text]) == [image, text]
    assert model.preproc_content([text, "mixed"]) is None
    assert [model.check_content(one) for one in ("a", text, ["a"], [text], 7)] == [
        "str", "dict", "liststr", "listdict", "unknown",
    ]  # fmt: skip
    assert model.concat_tilist([image, text]) == (" <image> What?", [str(file)])
    assert model.message_to_promptimg([text, image, text]) == ("What?\nWhat?", str(file))
    assert model.message_to_promptimg([text]) == ("What?", None)
    with pytest.raises(ValueError, match="no parts of type 'audio'"):
        model.generate([{"type": "audio", "value": "x"}])
    assert parse_file("x" * 5000) == (None, "x" * 5000)
    assert (cn_string("图"), cn_string("a"), splitlen("a/b")) == (True, False, 2)
    assert (version_cmp("4.9", "4.10", "lt"), version_cmp("4.10", "4.9", "le")) == (True, False)
    assert get_cache_path("nobody/nothing-of-that-name") is None


def test_blinks_images_are_put_side_by_side(tmp_path: Path) -> None:
    files = []
    for name, size in (("a", (30, 20)), ("b", (10, 40))):
        Image.new("RGB", size, (250, 0, 0)).save(tmp_path / f"{name}.png")
        files.append(str(tmp_path / f"{name}.png"))
    assert concat_images_vlmeval(files, return_image=True).size == (40, 40)
    assert concat_images_vlmeval(files, mode="v", return_image=True).size == (30, 60)
    message = [{"type": "image", "value": file} for file in files]
    _, shown = BaseModel().message_to_promptimg(message, dataset="BLINK")
    assert Path(str(shown)).parent == tmp_path
    assert Image.open(str(shown)).size == (768 + 128, 512)
