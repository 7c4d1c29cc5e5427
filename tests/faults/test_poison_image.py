"""Broken images cost their own samples and nothing else."""

import base64
import io
from pathlib import Path

from PIL import Image

from tests.conftest import Workplace, read_tsv, write_tsv


def truncated_jpeg() -> str:
    """A picture whose header is right and whose pixels are cut off."""
    buffer = io.BytesIO()
    Image.effect_noise((80, 80), 90).convert("RGB").save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()[: len(buffer.getvalue()) // 2]).decode()


def test_broken_images_mark_only_their_samples(workplace: Workplace) -> None:
    tsv = Path(str(workplace.datasets["Mini"]["path"]))
    rows = read_tsv(tsv)
    image = rows[0].index("image")
    rows[3][image] = truncated_jpeg()
    rows[8][image] = base64.b64encode(b"<html>404 not found</html>").decode() * 4
    rows[11][image] = "!" * 100
    write_tsv(tsv, rows)

    ran = workplace.vlmake("run", "--model", "TinyVLM", "--data", "Mini")
    assert ran.code == 0, ran.output
    predictions = workplace.predictions("TinyVLM", "Mini")
    assert [row["index"] for row in predictions if row["status"] == "bad_image"] == ["2", "7", "10"]
    assert all(row["error"] and row["prediction"] is None for row in predictions if row["status"] == "bad_image")
    assert all(row["prediction"] is not None for row in predictions if row["status"] != "bad_image")
    assert "3 bad_image" in ran.output
    again = workplace.snakemake("--", "results/TinyVLM/Mini_score.csv")
    assert again.jobs == [], "a broken image is the dataset's fault; asking again would not help"
