"""Logging in, with a page for people and a token for programs; whoever guesses passwords must wait."""

import hashlib
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse
from rest_framework.authtoken.views import ObtainAuthToken
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle

from completion_aggregator.aggregation.rest_api.parsers import JSONParser


class AddressThrottle(SimpleRateThrottle):
    """Count the attempts from one address."""

    scope = "anon"

    def get_cache_key(self, request: Any, view: Any) -> str:
        """Return the key of the address, whoever is logged in there."""
        return self.cache_format % {"scope": "attempts", "ident": self.get_ident(request)}


class NameThrottle(SimpleRateThrottle):
    """Count the attempts at one username from one address: a class behind one router has many names."""

    scope = "login"

    def get_cache_key(self, request: Any, view: Any) -> str:
        """Return the key of the address and the name."""
        # As whoever checks the password will see the name.
        name = unicodedata.normalize("NFKC", _username(request)).strip().casefold()
        pair = f"{self.get_ident(request)} {name}"
        ident = hashlib.sha256(pair.encode(errors="replace")).hexdigest()[:32]
        return self.cache_format % {"scope": self.scope, "ident": ident}


THROTTLES: tuple[type[BaseThrottle], ...] = (AddressThrottle, NameThrottle)


class TokenView(ObtainAuthToken):
    """Hand out the token of a user who gives their password."""

    # A session or a bad token is of no interest here, and needs no CSRF token.
    authentication_classes = ()
    parser_classes = (JSONParser, FormParser)
    throttle_classes = THROTTLES


class LoginView(views.LoginView):
    """Show the page to log in, and log in."""

    template_name = "completion_aggregator_standalone/login.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log in, unless there were too many attempts."""
        throttles = [throttle() for throttle in THROTTLES]
        waits = [throttle.wait() for throttle in throttles if not throttle.allow_request(request, self)]  # type: ignore[arg-type]
        if not waits:
            return super().post(request, *args, **kwargs)
        seconds = math.ceil(max(wait or 0 for wait in waits))
        page = self.render_to_response({"title": "Log in", "seconds": seconds}, status=429)
        page.headers["Retry-After"] = str(seconds)
        return page


def _username(request: Request | HttpRequest) -> str:
    data: object = request.data if isinstance(request, Request) else request.POST
    return str(data.get("username", "")) if isinstance(data, Mapping) else ""
