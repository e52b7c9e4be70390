"""What the views of all versions share: who asks, of whom, and in which form the answer goes out."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, cast

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.middleware.http import ConditionalGetMiddleware
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string
from opaque_keys.edx.keys import CourseKey
from rest_framework import parsers, renderers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, NotFound, PermissionDenied
from rest_framework.pagination import PageNumberPagination
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from completion_aggregator.aggregation.rest_api.pages import pagination_class
from completion_aggregator.aggregation.rest_api.parameters import username_of, values_of
from completion_aggregator.aggregation.rest_api.parsers import JSONParser
from completion_aggregator.aggregation.rest_api.renderers import JSONRenderer
from completion_aggregator.conf import setting
from completion_aggregator.ports import get_platform

#: Characters of a username: in Django 150, and no site has many more.
LONGEST_NAME: Final = 255


class ProgressView(APIView):
    """A view for those who are logged in, authenticated as the site says, that answers in fast JSON."""

    permission_classes = (IsAuthenticated,)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return those that a derived view names, else ``API_AUTHENTICATION_CLASSES``, else the REST framework's."""
        paths: Sequence[str] = setting("API_AUTHENTICATION_CLASSES")
        if paths and self.authentication_classes is ProgressView.authentication_classes:
            return [import_string(path)() for path in paths]
        return super().get_authenticators()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let in those who may ask; requests of nobody count for their rate, too."""
        try:
            super().initial(request, *args, **kwargs)
        except (NotAuthenticated, AuthenticationFailed):
            self.check_throttles(request)
            raise

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Return the request as the REST framework has it; a charset that is none is taken for UTF-8."""
        try:
            "a".encode(request.encoding or "utf-8")  # of an empty text, no charset would be looked up
        except (LookupError, ValueError):
            request.encoding = "utf-8"
        return super().initialize_request(request, *args, **kwargs)

    def get_parsers(self) -> list[BaseParser]:
        """Return the site's parsers, with our JSON in the place of the usual one."""
        return [JSONParser() if type(parser) is parsers.JSONParser else parser for parser in super().get_parsers()]

    def get_renderers(self) -> list[BaseRenderer]:
        """Return the site's renderers, with our JSON in the place of the usual one."""
        return [
            JSONRenderer() if type(renderer) is renderers.JSONRenderer else renderer
            for renderer in super().get_renderers()
            # Without the app, there are no templates to browse the API with.
            if not isinstance(renderer, renderers.BrowsableAPIRenderer) or apps.is_installed("rest_framework")
        ]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Response:
        """Keep answers about persons out of caches that others share."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer.headers.setdefault("Cache-Control", "private, no-cache")
        patch_vary_headers(answer, ("Accept", "Authorization", "Cookie"))
        return answer


class CompletionViewMixin(ProgressView):
    """The base of v0 and v1, and of views that other plug-ins derive from them.

    They rely on this: ``user`` says whose progress is asked for, after asking whether that is permitted, and may be
    overridden; it sets ``_requested_user`` to that user, None for everybody of the course. Who sets
    ``_effective_user`` vouches for the permission, and need not go through ``dispatch``.
    """

    _effective_user: AbstractBaseUser | None = None
    _requested_user: AbstractBaseUser | None = None
    #: The course whose staff may ask for everybody in it; None where only staff of the site may.
    _course_key: CourseKey | None = None
    #: Whether a request that names nobody is about the one who asks, whoever that is.
    _default_is_self = False

    @property
    def pagination_class(self) -> type[PageNumberPagination]:
        """The pages of v0 and v1."""
        return pagination_class()

    @cached_property
    def paginator(self) -> PageNumberPagination:
        """The pages of this request."""
        return self.pagination_class()

    @property
    def values(self) -> Mapping[str, Any]:
        """The parameters of the request. Raises ParseError."""
        return values_of(self.request)

    @property
    def user(self) -> AbstractBaseUser:
        """The user whose progress is asked for, or who asks for everybody's. Raises PermissionDenied or NotFound."""
        if self._effective_user is None:
            self._effective_user = self._permitted(username_of(self.values))
        return self._effective_user

    @property
    def requested_user(self) -> AbstractBaseUser | None:
        """The one learner who is asked for; None for everybody of the course. Raises as ``user`` does."""
        _ = self.user
        return self._requested_user

    def _permitted(self, username: str | None) -> AbstractBaseUser:
        asking = cast("AbstractBaseUser", self.request.user)
        if username is None or (not username and not self._default_is_self):
            if not self._default_is_self and not self._may_read_all():
                raise PermissionDenied
            self._requested_user = asking if self._default_is_self else None
            return asking
        if username == asking.get_username():
            self._requested_user = asking
        elif self._may_read_all():
            self._requested_user = self._named(username)
        elif username.casefold() == asking.get_username().casefold():
            self._requested_user = asking
        else:
            raise PermissionDenied
        return self._requested_user

    def _may_read_all(self) -> bool:
        if self._is_site_staff():
            return True
        return self._course_key is not None and get_platform().may_read(self.request.user, self._course_key)

    def _is_site_staff(self) -> bool:
        return bool(self.request.user.is_staff and self.request.user.is_active)

    def _named(self, username: str) -> AbstractBaseUser:
        """Return the user of this name. Course staff learn no more than that it is nobody of their course."""
        user = user_named(username)
        if self._is_site_staff():
            if user is None:
                raise NotFound
            return user
        # Before anything else is looked at, and in the words of the request: all others are answered alike.
        if user is None or self._course_key is None or not get_platform().is_enrolled(self._course_key, user.pk):
            raise self._not_enrolled(username)
        return user

    def _not_enrolled(self, username: str) -> NotFound:
        return NotFound(f"User '{username}' does not have an active enrollment in course '{self._course_key}'.")

    def _paginate(self, rows: Sequence[Any] | QuerySet[Any, Any]) -> list[Any]:
        return list(self.paginator.paginate_queryset(cast("Any", rows), self.request, view=self) or ())

    def _paged(self, entries: Any) -> Response:
        return self.paginator.get_paginated_response(entries)

    def _revalidated(self, response: Response) -> Response:
        """Give the answer to a GET an ETag, and leave out its body for a client that has it already."""
        request = self.request._request
        response.add_post_render_callback(
            lambda rendered: ConditionalGetMiddleware(lambda _: rendered).process_response(request, rendered)
        )
        return response


def user_named(username: str) -> AbstractBaseUser | None:
    """Return the user of this name; spelled in another case, if just one is."""
    users, field = get_user_model()._default_manager, get_user_model().USERNAME_FIELD
    if "\0" in username or len(username) > LONGEST_NAME:
        return None  # there can be none, and databases may refuse to look
    # Some databases also take letters with and without accents, and with spaces behind them, for the same.
    exact = [user for user in users.filter(**{field: username}) if user.get_username() == username]
    alike = exact or [
        user
        for user in users.filter(**{f"{field}__iexact": username})
        if user.get_username().casefold() == username.casefold()
    ]
    return alike[0] if len(alike) == 1 else None
