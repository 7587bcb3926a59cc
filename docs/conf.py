"""Builds the pages with Sphinx: Markdown through MyST, dressed by Furo. Fetches nothing."""

import tomllib
from pathlib import Path

_about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Tidegate"
author = "The Tidegate developers"
copyright = author
version = release = _about["version"]

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Tidegate {release}"
