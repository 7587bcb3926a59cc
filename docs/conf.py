"""Builds the pages with Sphinx: Markdown through MyST, dressed by Furo. Makes their pictures first. Fetches nothing."""

import sys
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.pictures import draw_all

_about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Tidegate"
author = "The Tidegate developers"
copyright = author
version = release = _about["version"]

extensions = ["myst_parser"]
exclude_patterns = ["_build", "_pictures"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Tidegate {release}"


def setup(app: Any) -> None:
    app.connect("builder-inited", lambda _: draw_all())
