"""The WSGI application of the standalone service."""

import os
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "completion_aggregator.platforms.standalone.settings")

CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "iso-8859-1"})

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request; a charset that is none of those in use is taken for UTF-8.

    Django fails, before anything of ours is asked, where Python has a codec of that name that is not for text.
    """
    media_type, mark, charset = environ.get("CONTENT_TYPE", "").lower().partition("charset=")
    if mark and charset.partition(";")[0].strip(" \"'") not in CHARSETS:
        environ["CONTENT_TYPE"] = media_type.rstrip("; ")
    return _django(environ, start_response)
