"""Parse XML that anyone may have written: no document type, so no entity ever; bounded in size and depth."""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tidegate.errors import DataError

_MOST_BYTES = 64 << 20
_DEEPEST = 100


def parse(content: bytes, where: str) -> Element:
    """Parse a document; names come without their name spaces.

    Raises DataError where it is no XML, declares a document type, or is too large or too deep.

    >>> parse(b'<a xmlns="x"><b c="1">text</b></a>', "a.xml")[0].text
    'text'
    """
    if len(content) > _MOST_BYTES:
        raise DataError(f"{where} has {len(content):,} bytes; {_MOST_BYTES:,} are the most. Part it by pages.")
    builder, parser, open_ones = TreeBuilder(), expat.ParserCreate(namespace_separator="}"), [0]

    def begin(name: str, attributes: dict[str, str]) -> None:
        open_ones[0] += 1
        if open_ones[0] > _DEEPEST:
            raise DataError(f"{where} nests more than {_DEEPEST} elements. It is no page of text.")
        builder.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        open_ones[0] -= 1
        builder.end(_local(name))

    def refuse(*_: object) -> None:
        raise DataError(
            f"{where} declares a document type, in which entities may hide. Remove the line <!DOCTYPE ...>."
        )

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise DataError(f"{where} is no XML: {error}. Mend it at that place.") from None
    except DataError:
        raise
    except (LookupError, ValueError) as error:  # of the codec that the declaration names
        raise DataError(f"{where} is written in an encoding that is not read: {error}. Save it as UTF-8.") from None
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition("}")[2]
