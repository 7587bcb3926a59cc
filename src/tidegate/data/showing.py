"""How a value, or a text of any length, is shown to a reader on one line. Knows no screen."""

from __future__ import annotations

from tidegate.data.graphemes import split_graphemes


def show(value: object) -> str:
    """Write one value for a reader: four significant digits, and a dash for what is not there.

    >>> show(0.87231), show(None), show(25000), show(1234567.8)
    ('0.8723', '-', '25000', '1234568')
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def shorten(text: str, width: int = 80) -> str:
    """Bring a text onto one line of at most `width` characters, as a reader counts them.

    >>> shorten("a  very long line", 8)
    'a very …'
    """
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    characters = split_graphemes(line)
    return line if len(characters) <= width else "".join(characters[: width - 1]) + "…"
