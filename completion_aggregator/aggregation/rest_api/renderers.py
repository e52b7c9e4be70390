"""JSON, fast: orjson where it is installed, an entry at a time, so that a page is never in memory twice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, overload, runtime_checkable

from rest_framework import renderers
from rest_framework.utils.encoders import JSONEncoder

orjson: Any
try:
    import orjson
except ImportError:  # the standard library does it, several times slower
    orjson = None


@runtime_checkable
class Writer(Protocol):
    """An entry to be that writes itself faster than the dictionary it makes would be written."""

    def __call__(self) -> dict[str, Any]:
        """Return the entry as a dictionary."""

    def json(self) -> bytes:
        """Return the entry as JSON."""


class Entries(Sequence[dict[str, Any]]):
    """Entries of a page, each made when it is looked at: with all fields, one may be a hundred kilobytes."""

    def __init__(self, makers: Sequence[Callable[[], dict[str, Any]]]) -> None:
        self._makers = makers

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, at: slice) -> "Entries": ...

    def __getitem__(self, at: int | slice) -> "dict[str, Any] | Entries":
        return Entries(self._makers[at]) if isinstance(at, slice) else self._makers[at]()

    def __eq__(self, other: object) -> bool:
        return list(self) == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # like a list

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (make() for make in self._makers)

    def written(self) -> Iterator[bytes]:
        """Yield the JSON of each entry."""
        return (make.json() if isinstance(make, Writer) else dumps(make()) for make in self._makers)

    def tolist(self) -> list[dict[str, Any]]:
        """Return all entries: what the encoder of Django REST framework asks for."""
        return list(self)


class JSONRenderer(renderers.JSONRenderer):
    """The JSON of Django REST framework, written by orjson."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return *data* as JSON; with an indent, if the client asks for one."""
        if orjson is None or data is None or self.get_indent(accepted_media_type or "", dict(renderer_context or {})):
            return bytes(super().render(data, accepted_media_type, renderer_context))
        return dumps(data)


def dumps(data: Any) -> bytes:
    """Return *data* as JSON, the same whoever writes it."""
    if orjson is None:
        return bytes(renderers.JSONRenderer().render(data))
    try:
        # Moments are written as the REST framework writes them.
        written: bytes = orjson.dumps(data, default=_default, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError:  # integers of more than 64 bits, keys that are no text
        return bytes(renderers.JSONRenderer().render(data))
    return written


def _default(value: Any) -> Any:
    if isinstance(value, Entries):
        return [orjson.Fragment(each) for each in value.written()]
    return JSONEncoder().default(value)
