"""Builds the pages with Sphinx: Markdown through MyST, dressed by Furo. Makes their pictures first. Fetches nothing.

The reference is made of the docstrings; mathematics becomes MathML, which browsers show without a script.
"""

import inspect
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.pictures import draw_all
from docutils.nodes import SkipNode
from latex2mathml.converter import convert

_about = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "Tidegate"
author = "The Tidegate developers"
copyright = author
version = release = _about["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_pictures"]
default_role = "code"
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {
    "members": True,
    "inherited-members": "BaseModel,Exception,Generic,Module,Protocol,object,tuple",
}
autodoc_typehints = "none"  # the docstrings say what each argument is
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
maximum_signature_line_length = 90
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"Tidegate {release}"
html_static_path = ["static"]
html_css_files = ["math.css"]
html_math_renderer = "mathml"


def write_mathml(page: Any, node: Any) -> None:
    display = "inline" if node.tagname == "math" else "block"
    page.body.append(convert(node.astext(), display=display))
    raise SkipNode


def describe_fields(_app: Any, what: str, _name: str, obj: Any, _options: Any, lines: list[str]) -> None:
    """Describe all arguments of a class: put those of its ancestors in, and a heading above fields that have none."""
    if what != "class":
        return
    lines[:] = [argument for line in lines for argument in inherited_arguments(obj, line)]
    known = getattr(obj, "__annotations__", {})
    begins = [bool(line.strip()) and not before.strip() for before, line in zip(["", *lines], lines, strict=False)]
    for at, begin in reversed(list(enumerate(begins))):
        if begin and lines[at].partition(":")[0] in known:
            end = next((row for row in range(at, len(lines)) if not lines[row].strip()), len(lines))
            lines[at:end] = ["Args:", *(f"    {line}" for line in lines[at:end])]


def inherited_arguments(cls: type, line: str) -> list[str]:
    """Give the arguments of the ancestor that the line `others: see X.` names; another line stays as it is."""
    named = re.fullmatch(r" +others: see `(\w+)`\.", line)
    ancestor = next((base for base in cls.__mro__[1:] if named and base.__name__ == named[1]), None)
    if ancestor is None:
        return [line]
    _, _, below = inspect.cleandoc(ancestor.__doc__ or "").partition("\nArgs:\n")
    return [more for one in below.partition("\n\n")[0].splitlines() for more in inherited_arguments(ancestor, one)]


def setup(app: Any) -> None:
    app.connect("builder-inited", lambda _: draw_all())
    app.connect("autodoc-process-docstring", describe_fields, priority=400)  # before napoleon reads the headings
    app.add_html_math_renderer("mathml", (write_mathml, None), (write_mathml, None))
