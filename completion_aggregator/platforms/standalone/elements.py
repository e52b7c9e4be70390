"""XML that strangers wrote, as a tree of the elements that can be blocks."""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final, Protocol
from xml.parsers import expat
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, InputSource, Locator

from defusedxml import DefusedXmlException
from defusedxml.expatreader import DefusedExpatParser

MAX_ELEMENTS: Final = 500_000  # in one file, those inside a leaf not counted: a course of old times is one file
MAX_DEPTH: Final = 500  # of elements in one file; hand-written HTML reaches a few dozen

# What expat reads by itself; anything else is decoded first.
_EXPAT_ENCODINGS: Final = frozenset({"utf-8", "utf-16", "us-ascii", "iso-8859-1"})
_DECLARED_ENCODING: Final = re.compile(rb"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")

# These say which block an element is, not what it holds.
_IDENTITY: Final = frozenset({"url_name", "slug", "org", "course"})


class BrokenXml(Exception):
    """A file is not the XML that we accept; ``line`` is where, if known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Element:
    """An element that can be a block. ``children`` is empty for a type whose content is its own affair.

    ``digest`` stands for everything in the element but its identity; white space between words does not count.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    children: list["Element"] = field(default_factory=list)
    is_empty: bool = True
    digest: str = ""


def parse(data: bytes, containers: Collection[str]) -> Element:
    """Return the root element of *data*; the elements inside anything but a container are not kept."""
    handler = _Handler(containers)
    parser = _Parser(forbid_dtd=True)
    parser.setContentHandler(handler)
    try:
        parser.parse(_source(data))
    except SAXParseException as error:
        raise BrokenXml(f"not well-formed XML: {error.getMessage()}", error.getLineNumber()) from error
    except DefusedXmlException as error:
        raise BrokenXml("declares its own entities or document type; remove them", parser.getLineNumber()) from error
    if handler.root is None:
        raise BrokenXml("holds no element")
    return handler.root


class _Parser(DefusedExpatParser):  # type: ignore[misc]  # defusedxml has no types
    def defused_start_doctype_decl(self, name: str, sysid: str, pubid: str, has_internal_subset: bool) -> None:
        # A bare <!DOCTYPE html> declares nothing, and nobody fetches the document type that it names.
        if has_internal_subset:
            super().defused_start_doctype_decl(name, sysid, pubid, has_internal_subset)

    def reset(self) -> None:
        super().reset()
        self._parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)


def _source(data: bytes) -> InputSource:
    source = InputSource()
    declared = _DECLARED_ENCODING.match(data)
    if declared and (encoding := declared[1].decode().lower()) not in _EXPAT_ENCODINGS:
        try:
            data = data.decode(encoding).encode()
        except (LookupError, ValueError) as error:
            raise BrokenXml(f"cannot be read as {encoding}: {error}", 1) from error
        source.setEncoding("utf-8")
    source.setByteStream(BytesIO(data))
    return source


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Handler(ContentHandler):
    """Builds the elements, and digests what is inside them."""

    def __init__(self, containers: Collection[str]) -> None:
        super().__init__()
        self.root: Element | None = None
        self._locator: Locator | None = None
        self._containers = containers
        self._open: list[tuple[Element, _Hash]] = []
        self._count = 0
        self._inside = 0  # how deep we are in the content of the innermost open element
        self._text: list[str] = []

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802  # the name that SAX calls
        line = self._line()
        if len(self._open) + self._inside >= MAX_DEPTH:
            raise BrokenXml(f"elements are nested more than {MAX_DEPTH} deep", line)
        self._take_text()
        if self._open:
            self._open[-1][0].is_empty = False
        if self._inside or (self._open and self._open[-1][0].tag not in self._containers):
            self._inside += 1
            self._digest("<", name, *_flat(attrs))
        elif self._count >= MAX_ELEMENTS:
            raise BrokenXml(f"holds more than {MAX_ELEMENTS} blocks", line)
        else:
            self._count += 1
            self._begin(Element(tag=name, attributes=dict(attrs.items()), line=line), attrs)

    def endElement(self, name: str) -> None:  # noqa: N802
        self._take_text()
        if self._inside:
            self._inside -= 1
            self._digest(">")
            return
        element, content = self._open.pop()
        element.digest = content.hexdigest()
        if self._open:
            self._digest("block", element.attributes.get("url_name", ""), element.digest)

    def characters(self, content: str) -> None:
        self._text.append(content)

    def _begin(self, element: Element, attrs: AttributesImpl) -> None:
        if self._open:
            self._open[-1][0].children.append(element)
        else:
            self.root = element
        self._open.append((element, hashlib.sha1(usedforsecurity=False)))
        self._digest(element.tag, *_flat(attrs))

    def _take_text(self) -> None:
        words = "".join(self._text).split()
        self._text.clear()
        if words:
            self._open[-1][0].is_empty = False
            self._digest("text", *words)

    def _digest(self, *parts: str) -> None:
        self._open[-1][1].update("\0".join((*parts, "")).encode("utf-8", "surrogatepass"))

    def _line(self) -> int:
        return self._locator.getLineNumber() or 0 if self._locator else 0


def _flat(attrs: AttributesImpl) -> list[str]:
    return [part for name, value in sorted(attrs.items()) if name not in _IDENTITY for part in (name, value)]
