"""A whole class as CSV or NDJSON, sent while it is read."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer

from completion_aggregator.aggregation.records import COLUMNS, ROWS_AT_ONCE, Row, csv_texts, iso
from completion_aggregator.aggregation.rest_api.renderers import dumps

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME: Final = 100


class StreamRenderer(BaseRenderer):
    """Stands for a form that is streamed: what is rendered after all is an error, and that is JSON."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return *data* as JSON."""
        return dumps(data)


class CSVRenderer(StreamRenderer):
    """Comma-separated values."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"


class NDJSONRenderer(StreamRenderer):
    """A JSON object per line."""

    media_type = "application/x-ndjson"
    format = "ndjson"
    charset = None


def stream(kind: str, name: str, rows: Iterable[Row]) -> StreamingHttpResponse:
    """Return a response that sends *rows* as they come, as a file called after *name*."""
    content_type, chunks = _KINDS[kind]
    file_name = f"progress_{_UNSAFE.sub('_', name)[:_LONGEST_NAME]}.{kind}"
    return StreamingHttpResponse(
        chunks(rows),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{file_name}"', "X-Content-Type-Options": "nosniff"},
    )


def _csv(rows: Iterable[Row]) -> Iterator[bytes]:
    return (text.encode() for text in csv_texts(rows, guarded=True))


def _ndjson(rows: Iterable[Row]) -> Iterator[bytes]:
    lines = (dumps(dict(zip(COLUMNS, (*row[:-1], iso(row[-1])), strict=True))) + b"\n" for row in rows)
    while chunk := b"".join(islice(lines, ROWS_AT_ONCE)):
        yield chunk


_KINDS: Final[dict[str, tuple[str, Callable[[Iterable[Row]], Iterator[bytes]]]]] = {
    CSVRenderer.format: ("text/csv; charset=utf-8; header=present", _csv),
    NDJSONRenderer.format: (NDJSONRenderer.media_type, _ndjson),
}
