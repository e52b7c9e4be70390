"""Whether the service can do its work."""

from collections.abc import Callable
from typing import Final

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse

PATH: Final = "/healthz"


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers, 503 when it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        # The reason may hold addresses and names: it belongs in the log of the database, not in an open answer.
        return JsonResponse({"status": "unavailable", "database": "unreachable"}, status=503)
    return JsonResponse({"status": "ok", "database": connection.vendor})


def answer_any_host(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Answer the question for health before ALLOWED_HOSTS is asked: probes call us by an address of their own."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        return healthz(request) if request.path_info == PATH else get_response(request)

    return answer
