"""Read XML that anyone may have written: bounded in depth, without entities of its own, and nothing fetched for it.

Knows no vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tidegate.errors import DataError

_MOST_BYTES = 64 << 20
_DEEPEST = 100


@dataclass(frozen=True)
class Handlers:
    """Say what is told of a document as it is read; names come without their name spaces.

    begin: of each element, with its attributes.
    end: of each element.
    text: of characters; several calls may bring one stretch of them.
    """

    begin: Callable[[str, dict[str, str]], object]
    end: Callable[[str], object]
    text: Callable[[str], object]


def parse(content: bytes, where: str) -> Element:
    """Parse a whole document; names come without their name spaces.

    Raises DataError where it is no XML, declares a document type, or is too large or too deep.

    >>> parse(b'<a xmlns="x"><b c="1">text</b></a>', "a.xml")[0].text
    'text'
    """
    if len(content) > _MOST_BYTES:
        raise DataError(f"{where} has {len(content):,} bytes; {_MOST_BYTES:,} are the most. Part it by pages.")
    builder = TreeBuilder()
    walk([content], where, Handlers(builder.start, builder.end, builder.data))
    return builder.close()


def walk(chunks: Iterable[bytes], where: str, handlers: Handlers, *, doctype: bool = False) -> None:
    """Read a document that comes in chunks, and keep nothing of it.

    Args:
        chunks: the document.
        where: names it in a message.
        handlers: are told what it holds.
        doctype: whether it may name a document type. One that stands elsewhere is not fetched; one that is written out
            in the document is refused all the same, as entities may hide there.

    Raises DataError where it is no XML, or is too deep; and for a document type, or a reference to what that declares.
    """
    parser, depth = expat.ParserCreate(namespace_separator="}"), [0]

    def begin(name: str, attributes: dict[str, str]) -> None:
        depth[0] += 1
        if depth[0] > _DEEPEST:
            raise DataError(f"{where} nests more than {_DEEPEST} elements. Nothing that is read here does.")
        handlers.begin(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        depth[0] -= 1
        handlers.end(_local(name))

    def declare(_name: str, _system: str | None, _public: str | None, inside: bool) -> None:
        if inside or not doctype:
            refuse()

    def refuse(*_: object) -> None:
        raise DataError(
            f"{where} declares a document type, in which entities may hide. Remove the line <!DOCTYPE ...>."
        )

    def skip(entity: str, *_: object) -> None:
        raise DataError(f"{where} refers to &{entity}; which XML does not know. Write the letter itself.")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = handlers.text
    parser.StartDoctypeDeclHandler, parser.EntityDeclHandler, parser.SkippedEntityHandler = declare, refuse, skip
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise DataError(f"{where} is no XML: {error}. Mend it at that place.") from None
    except DataError:
        raise
    except (LookupError, ValueError) as error:  # of the codec that the declaration names
        raise DataError(f"{where} is written in an encoding that is not read: {error}. Save it as UTF-8.") from None


def _local(name: str) -> str:
    return name.rpartition("}")[2]
