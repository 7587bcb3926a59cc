"""Makes HTML pages that need nothing else: style, script, pictures and data stand in the file. Knows no model.

A page forbids itself every request, and every script but the one that it was made with: what it shows may come from
anywhere. Text that is put in is escaped here, unless it is called markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable, Sequence
from importlib import resources
from typing import TypeAlias, get_args

from tidegate.errors import MissingPackageError
from tidegate.inspect.style import Theme

Markup: TypeAlias = str
"""HTML that is put into the page as it is."""


def page(title: str, body: Sequence[Markup], *, script: str = "", data: object = None) -> str:
    """Write a page.

    Args:
        title: what stands in its first line.
        body: what follows, piece by piece.
        script: the text of one ES module.
        data: what the script shall find as JSON in the element `data`.

    >>> text = page("a < b", ["<p>shown</p>"])
    >>> text.startswith("<!doctype html>"), "<h1>a &lt; b</h1>" in text
    (True, True)
    """
    name, style = html.escape(title), asset("page.css")
    rules = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    parts = ["<main>", f"<h1>{name}</h1>", *body, "</main>"]
    if script:
        # Inside a script element only `<` could end it, and JSON may write that character as an escape.
        content = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        parts += [f'<script type="application/json" id="data">{content}</script>']
        parts += [f'<script type="module">{script}</script>']
    return _PAGE.format(rules=rules, title=name, style=style, body="\n".join(parts))


def section(title: str, content: Markup) -> Markup:
    """Write a heading and what stands below it."""
    return f"<section>\n<h2>{html.escape(title)}</h2>\n{content}\n</section>"


def figure(draw: Callable[[Theme], bytes], description: str) -> Markup:
    """Put an SVG picture in, once for each theme; where matplotlib is missing, say so in its place.

    Args:
        draw: makes the picture of a theme.
        description: what it shows, for those who cannot see it.
    """
    try:
        sources = {theme: _address(draw(theme)) for theme in get_args(Theme)}
    except MissingPackageError as error:
        return f"<p>Not drawn: {html.escape(str(error))}</p>"
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{sources["dark"]}">'
        f'<img src="{sources["light"]}" alt="{html.escape(description)}"></picture>'
    )


def asset(name: str) -> str:
    """Read a file that lies beside this one."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _address(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{rules}">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
{body}
</html>
"""
