"""Takes the picture of `tidegate inspect` that the README shows, of the network that how-an-lstm-works.md trains.

python -m docs.screenshot
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from docs.pictures import DOCS, draw
from playwright.sync_api import sync_playwright

import tidegate as tg

PICTURE = DOCS / "images" / "inspect.png"
TEXT = "the film was not at all that good"


def main() -> None:
    """Open the page, point at "not" and take the picture."""
    page = DOCS / "how-an-lstm-works.md"
    draw(page)
    critic = tg.load(DOCS / "_pictures" / page.stem / "critic.safetensors")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "inspect.html"
        file.write_text(tg.inspect.examine(critic, [TEXT]).to_html(f"“{TEXT}”"), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 760, "height": 1345})
        tab.goto(file.as_uri())
        tab.select_option("#quantity", label="forget gate f")
        tab.hover(f".token >> nth={TEXT.split().index('not')}")
        tab.screenshot(path=PICTURE)
        browser.close()
    print(PICTURE)


if __name__ == "__main__":
    main()
