"""The report in a real browser: nothing runs, nothing is loaded, it fits screens, and it can be used by keyboard."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report_tree import circular_tree, yes_no_tree
from vlmake import paths
from vlmake.report.page import write_page

CHROMIUM = Path("/usr/bin/chromium")

sync_api = pytest.importorskip("playwright.sync_api", reason="REPORT PAGE NOT CHECKED IN A BROWSER: no playwright")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"REPORT PAGE NOT CHECKED IN A BROWSER: no {CHROMIUM} (apt-get install chromium)"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("report")
    yes_no_tree(work, ("TinyVLM", "InternVL2_5-78B-MPO-AWQ"))
    circular_tree(work)
    write_page(work / paths.REPORT, work, work / "data")
    return work / paths.REPORT


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_opens_from_disk(browser: Any, report: Path, scheme: str, width: int, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: heard.append(request.url[:100]))
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    page.wait_for_timeout(100)
    assert [line for line in heard if line != report.as_uri() and not line.startswith("data:")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.scripts.length") == 0
    background, ink = page.evaluate("(({backgroundColor: b, color: c}) => [b, c])(getComputedStyle(document.body))")
    assert (_lightness(background) > _lightness(ink)) == (scheme == "light")
    assert (tmp_path / "page.png").write_bytes(page.screenshot()) > 10_000
    page.close()


def test_pictures_are_painted(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    picture = page.locator("svg.picture").first
    assert picture.bounding_box()["width"] >= 80
    assert len(picture.screenshot()) > 150  # one flat colour would compress to less
    page.close()


def test_keyboard(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the scores"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open")
    page.close()


def _lightness(colour: str) -> int:
    return sum(int(part) for part in colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3])
