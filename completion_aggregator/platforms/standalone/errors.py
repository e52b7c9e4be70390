"""What is answered where no view does: in JSON below the addresses of programs, as a page elsewhere."""

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

FOR_PROGRAMS: Final = ("/api/", "/completion-aggregator/v")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer that a request cannot be read, or holds more than is taken."""
    if request.path_info.startswith(FOR_PROGRAMS):
        return JsonResponse({"detail": "Bad request."}, status=400)
    return defaults.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer that there is no such address."""
    if request.path_info.startswith(FOR_PROGRAMS):
        return JsonResponse({"detail": "Not found."}, status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer that something went wrong; the log says what."""
    if request.path_info.startswith(FOR_PROGRAMS):
        return JsonResponse({"detail": "A server error occurred."}, status=500)
    return defaults.server_error(request)
