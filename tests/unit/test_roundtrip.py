"""The pixels that VLMEvalKit's models see, by the md5s that it gave for its own prompts."""

import hashlib
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.conftest import REPOSITORY, Workplace
from vlmake.commands.prompts import command as prompts_command
from vlmake.data.decode import decode
from vlmake.data.download import source_record
from vlmake.data.images import ImageError, ImageStore, ImageWriter, open_rgb
from vlmake.data.roundtrip import LARGE_TSV_BYTES, ShownImages, TsvFacts, encode_again, shown_ids, tsv_facts
from vlmake.errors import VlmakeError
from vlmake.inference.prompts import Frames
from vlmake.inference.questions import read_questions
from vlmake.inference.shard import Asking
from vlmake.registry.dataset_entries import DatasetEntry
from vlmake.registry.loading import Registry
from vlmake.registry.model_entries import TransformersEntry
from vlmake.runs.planning import Plan
from vlmake.runs.run_config import RunConfig

DATA = REPOSITORY / "tests" / "data" / "roundtrip"
ENTRY = DatasetEntry(task="vqa", metric="vqa_exact", question="")
SETS = sorted(file.stem for file in DATA.glob("*.tsv"))
SMALL, LARGE = TsvFacts(1000, True), TsvFacts(LARGE_TSV_BYTES + 1, True)


def decoded(tsv: Path, folder: Path) -> tuple[Path, Path]:
    samples, images = folder / "samples.parquet", folder / "images.arrow"
    decode(tsv, source_record(tsv.stem, tsv), folder, samples, images)
    return samples, images


def shown(name: str, folder: Path, **options: Any) -> dict[str, list[str]]:
    """Return, by index, the images of every prompt, sorted: md5 of the RGB pixels and size, as the data write it."""
    samples, images = decoded(DATA / f"{name}.tsv", folder)
    questions, _ = read_questions(
        samples, ENTRY, Asking("", 1), frames=Frames(), limit=None, shard=0, shards=1, **options
    )
    with ImageStore(images) as store:
        source = ShownImages(store)
        return {
            question.index: sorted(
                pixels(open_rgb(source.bytes(part["image"]))) for part in question.messages if part["type"] == "image"
            )
            for question in questions
        }


def pixels(image: Image.Image) -> str:
    return f"md5:{hashlib.md5(image.tobytes()).hexdigest()}:{image.width}x{image.height}"


def expected(name: str) -> dict[str, list[str]]:
    lines = map(json.loads, (DATA / f"{name}.prompts.jsonl").read_text("utf-8").splitlines())
    return {
        str(line["index"]): sorted(part["value"] for part in line["message"] if part["type"] == "image")
        for line in lines
    }


def test_there_are_sets_of_every_kind() -> None:
    assert {"POPE", "MMMU_DEV_VAL", "RealWorldQA", "AMBER"} <= set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_pixels_equal_the_peers(name: str, tmp_path: Path) -> None:
    theirs = expected(name)
    ours = shown(name, tmp_path, image_roundtrip="vlmevalkit")
    assert {index: ours[index] for index in theirs} == theirs and any(theirs.values())


@pytest.mark.parametrize("name", SETS)
def test_the_own_pixels_differ_where_the_peer_loses_some(name: str, tmp_path: Path) -> None:
    theirs = expected(name)
    ours = shown(name, tmp_path)
    same = [image in ours[index] for index, images in theirs.items() for image in images]
    assert all(same) if name == "RealWorldQA" else not any(same)


D, E = "d" * 64, "e" * 64


@pytest.mark.parametrize(
    ("digests", "image_path", "tsv", "ids"),
    [
        ([D], None, SMALL, [D]),
        ([D], "a.png", SMALL, [D]),
        ([D], "a.jpg", SMALL, [f"{D}.jpeg75"]),
        ([D], "x/A.JPG", SMALL, [f"{D}.jpeg75"]),
        ([D], ".jpeg", SMALL, [f"{D}.jpeg75"]),
        ([D], "jpg", SMALL, [D]),
        ([D], "a.webp", SMALL, [f"{D}.webp80"]),
        ([D], "a.gif", SMALL, [f"{D}.gif"]),
        ([D], "['a.jpg']", SMALL, [f"{D}.jpeg75"]),
        ([D, E], "['a.jpg', 'b.png']", SMALL, [f"{D}.jpeg75", E]),
        ([D, E], "a.jpg", SMALL, [f"{D}.jpeg75", f"{E}.jpeg75"]),
        ([D, E], None, SMALL, [D, E]),
        ([D, E], None, LARGE, [f"{D}.jpeg75", f"{E}.jpeg75"]),
        ([D], "  ", LARGE, [f"{D}.jpeg75"]),
        ([D], "a.png", LARGE, [D]),
        ([D], None, TsvFacts(LARGE_TSV_BYTES, True), [D]),
        ([D], "a.jpg", TsvFacts(1000, False), [D]),
        ([], "a.jpg", SMALL, []),
    ],
)
def test_names_decide(digests: list[str], image_path: str | None, tsv: TsvFacts, ids: list[str]) -> None:
    assert shown_ids([digests], [image_path], tsv) == [ids]


def test_of_rows_that_share_a_name_all_are_shown_the_first_image() -> None:
    rows = [[D], [E], [E], [E, D], [E], [E]]
    names = ["a.jpg", "a.jpg", "b.jpg", "['c.png', 'a.jpg']", None, None]
    first, other = f"{D}.jpeg75", f"{E}.jpeg75"
    assert shown_ids(rows, names, SMALL) == [[first], [first], [other], [E, first], [E], [E]]
    assert shown_ids(rows, names, TsvFacts(9, False)) == rows


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def test_a_png_saved_again_keeps_its_pixels() -> None:
    """Why ids without a form may stand for what VLMEvalKit saves as PNG."""
    for mode in ("RGB", "L", "1", "P", "RGBA", "LA"):
        data = encoded(Image.effect_noise((20, 20), 90).convert(mode), "PNG")
        with Image.open(BytesIO(data)) as image:
            again = encoded(image.convert("RGB") if mode in ("RGBA", "P", "LA") else image, "PNG")
        assert open_rgb(again).tobytes() == open_rgb(data).tobytes()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("form", ["jpeg75", "webp80", "gif"])
def test_every_mode_is_saved_in_every_form(mode: str, form: str) -> None:
    data = encoded(Image.new(mode, (20, 10)), "JPEG" if mode == "CMYK" else "TIFF" if mode in "IF" else "PNG")
    image = open_rgb(encode_again(data, form))
    assert image.size == (20, 10)


def test_damaged_pixels_are_an_image_error() -> None:
    data = encoded(Image.effect_noise((200, 200), 90), "PNG")
    with pytest.raises(ImageError, match="damaged or cut short"):
        encode_again(data[:-3000], "jpeg75")


def test_one_image_is_encoded_once_for_its_questions(tmp_path: Path) -> None:
    with ImageWriter(tmp_path / "i.arrow") as writer:
        digest = writer.add(encoded(Image.new("RGB", (9, 9), "teal"), "PNG"))
    with ImageStore(tmp_path / "i.arrow") as store:
        source = ShownImages(store)
        assert source.bytes(f"{digest}.jpeg75") is source.bytes(f"{digest}.jpeg75")
        assert source.bytes(digest) == store.bytes(digest) != source.bytes(f"{digest}.jpeg75")
        with pytest.raises(VlmakeError, match="holds no image"):
            source.bytes(f"{D}.jpeg75")


def test_samples_of_an_earlier_version_are_refused() -> None:
    for metadata in (None, {}, {b"vlmake": b"{}"}, {b"vlmake": b"no json"}):
        with pytest.raises(VlmakeError, match="delete it, it is made anew"):
            tsv_facts(metadata, "samples.parquet")


def test_the_setting_stales_predictions_and_off_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    registry = Registry(
        {"D": DatasetEntry(task="yes_no", metric="mme")}, {"M": TransformersEntry(repository="a/b")}, {}
    )
    off, on = (
        Plan(registry, RunConfig(image_roundtrip=value)).inference_spec("M", "D") for value in ("off", "vlmevalkit")
    )
    assert "image_roundtrip" not in off and '"image_roundtrip":"vlmevalkit"' in on


def test_prompts_name_the_form(tmp_path: Path) -> None:
    words = ["--dataset", "POPE", "--tsv", str(DATA / "POPE.tsv")]
    plain, again = (
        CliRunner().invoke(prompts_command, [*words, *more], catch_exceptions=False)
        for more in ([], ["--image-roundtrip", "vlmevalkit"])
    )
    first, second = (json.loads(done.output.splitlines()[0])["messages"][0] for done in (plain, again))
    assert second == first | {"digest": first["digest"] + ".jpeg75"}


@pytest.mark.slow
def test_both_settings_live_side_by_side_in_one_journal(workplace: Workplace) -> None:
    """Mini's images have ``.jpg`` names here, so that the two settings ask different questions."""
    tsv = Path(str(workplace.datasets["Mini"]["path"]))
    lines = tsv.read_text().splitlines()
    head = lines[0].split("\t")
    place = head.index("image_path")
    rows = [line.split("\t") for line in lines[1:7]]
    for row in rows:
        row[place] = str(Path(row[place]).with_suffix(".jpg"))
    tsv.write_text("\n".join("\t".join(row) for row in [head, *rows]) + "\n")
    workplace.datasets["Mini"]["rows"] = 6
    target = "results/TinyVLM/Mini_predictions.parquet"

    def keys(setting: str) -> list[object]:
        workplace.config["image_roundtrip"] = setting
        ran = workplace.snakemake(target)
        assert ran.code == 0, ran.output
        assert "infer TinyVLM/Mini" in ran.jobs
        return [row["key"] for row in workplace.predictions("TinyVLM", "Mini")]

    off, on = keys("off"), keys("vlmevalkit")
    kept = [json.loads(line)["key"] for line in workplace.journal_lines("TinyVLM", "Mini")]
    assert not set(off) & set(on) and sorted(kept) == sorted([*off, *on])
    metadata = pq.read_schema(workplace.result("TinyVLM", "Mini_predictions.parquet")).metadata
    assert json.loads(metadata[b"vlmake"])["prompt"]["image_roundtrip"] == "vlmevalkit"
