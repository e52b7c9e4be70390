"""Version 2: a learner's courses; one learner, a class and its summary in one course."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import ClassVar, Final, cast

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpResponseBase
from django.http.request import MediaType
from django.utils import timezone
from django.utils.http import parse_etags
from opaque_keys.edx.keys import CourseKey
from rest_framework.exceptions import NotAcceptable, NotFound, PermissionDenied, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.records import iso
from completion_aggregator.aggregation.rest_api.parameters import course_key_of
from completion_aggregator.aggregation.rest_api.renderers import Entries, JSONRenderer, dumps
from completion_aggregator.aggregation.rest_api.v2 import cursors, queries, shapes
from completion_aggregator.aggregation.rest_api.v2.parameters import Parameter
from completion_aggregator.aggregation.rest_api.v2.queries import ClassQuery, Form
from completion_aggregator.aggregation.rest_api.v2.streams import CSVRenderer, NDJSONRenderer, stream
from completion_aggregator.aggregation.rest_api.views import ProgressView, user_named
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse
from completion_aggregator.ports import get_platform

_STREAMED: Final = (CSVRenderer.format, NDJSONRenderer.format)


class _Negotiation(DefaultContentNegotiation):
    """Picks the form by ``format``, or else by Accept; one that is not there is told of with the other parameters."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer, and the media type that it was chosen for."""
        wanted, there = request.query_params.get("format"), list(renderers)
        if wanted is None:
            return self._by_accept(request, there)
        chosen = next((each for each in there if each.format == wanted), there[0])
        return chosen, chosen.media_type

    def _by_accept(self, request: Request, renderers: Sequence[BaseRenderer]) -> tuple[BaseRenderer, str]:
        """Return the renderer that the client likes best, with what it said of it, by the rules of RFC 9110, 12.5.1."""
        said = [MediaType(each) for each in request.headers.get("Accept", "*/*").split(",") if each.strip()]
        liked = []
        for renderer in renderers:
            ranges = [each for each in said if each.match(renderer.media_type)]
            closest = max(ranges, key=lambda each: each.specificity, default=None)
            if closest is not None and closest.quality > 0:
                liked.append((-closest.quality, said.index(closest), renderer))
        if not liked:
            raise NotAcceptable(available_renderers=renderers)
        _, at, best = min(liked, key=lambda each: each[:2])
        return best, str(said[at])


class View(ProgressView):
    """The base of v2. ``parameters``: the query parameters of its one operation."""

    parameters: ClassVar[tuple[Parameter, ...]] = ()
    renderer_classes: Sequence[type[BaseRenderer]] = (JSONRenderer,)
    content_negotiation_class = _Negotiation

    def handle_exception(self, exc: Exception) -> Response:
        """Answer an error in JSON, whatever form was asked for."""
        if isinstance(exc, UnknownCourse | InvalidCourse):
            exc = NotFound("There is no such course, or its content cannot be read.")
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        return super().handle_exception(exc)

    @property
    def asking(self) -> AbstractBaseUser:
        """The user who asks."""
        return cast("AbstractBaseUser", self.request.user)

    def _is_asking(self, username: str) -> bool:
        return username.casefold() == self.asking.get_username().casefold()

    def _next(self, cursor: str | None) -> str | None:
        return cursor and replace_query_param(self.request.build_absolute_uri(), "cursor", cursor)


class CourseListView(View):
    """The courses in which somebody is enrolled."""

    parameters = queries.COURSES

    def get(self, request: Request) -> Response:
        """Return a page of somebody's courses, by key, with progress worked out now."""
        query = queries.courses_query(request.query_params)
        user = self._subject(query.username)
        enrolled = sorted(get_platform().enrolled_courses(user.pk), key=str)
        keys = [key for key in enrolled if query.after is None or str(key) > query.after]
        page = keys[: query.page_size]
        now = timezone.now()
        standings = api.live_courses(user.pk, page)
        cursor = cursors.course_cursor_of(str(page[-1])) if len(keys) > len(page) else None
        results = [shapes.course_entry(key, standings.get(key)) for key in page]
        return Response(
            {"username": user.get_username(), "as_of": iso(now), "next": self._next(cursor), "results": results}
        )

    def _subject(self, username: str | None) -> AbstractBaseUser:
        if username is None or username == self.asking.get_username():
            return self.asking
        if not (getattr(self.asking, "is_staff", False) and self.asking.is_active):
            if self._is_asking(username):
                return self.asking
            raise PermissionDenied
        user = user_named(username)
        if user is None:
            raise NotFound
        return user


class LearnerView(View):
    """One learner in one course."""

    parameters = queries.LEARNER

    def get(self, request: Request, course_key: str, username: str) -> Response:
        """Return a learner's progress, worked out from her completions, with an ETag."""
        query = queries.learner_query(course_key_of(course_key), username, request.query_params)
        user = self._subject(query.course_key, query.username)
        now = timezone.now()
        standing = api.live_standing(user.pk, query.course_key, as_of=query.as_of)
        listed = shapes.Listing(query.levels)(standing)
        try:
            found = shapes.learner(standing, listed, tree=query.form is Form.TREE)
        except shapes.TooLarge:
            raise ValidationError({"form": ["Too large a tree: ask for fewer levels, or for flat."]}) from None
        whose = {"course_key": str(query.course_key), "username": user.get_username()}
        # The moment of a live answer is no part of its tag: nothing else may have changed since.
        tag = _tag(dumps([whose, query.as_of and iso(query.as_of), found]))
        headers = {"ETag": tag}
        if _matches(request.headers.get("If-None-Match", ""), tag):
            return Response(status=304, headers=headers)
        return Response({**whose, "as_of": iso(query.as_of or now), **found}, headers=headers)

    def _subject(self, course_key: CourseKey, username: str) -> AbstractBaseUser:
        """Return the learner of this name. Raises PermissionDenied, whether she exists or not, or NotFound."""
        user: AbstractBaseUser | None
        if username == self.asking.get_username():
            user = self.asking
        elif get_platform().may_read(self.asking, course_key):
            user = user_named(username)
        elif self._is_asking(username):
            user = self.asking
        else:
            raise PermissionDenied
        if user is None or not get_platform().is_enrolled(course_key, user.pk):
            raise NotFound(f"User '{username}' does not have an active enrollment in course '{course_key}'.")
        return user


class _StaffView(View):
    """What staff may read of a course. Others learn nothing, not even whether there is such a course."""

    def _permitted(self, course_key: str) -> CourseKey:
        key = course_key_of(course_key)
        if not get_platform().may_read(self.asking, key):
            raise PermissionDenied
        return key


class ClassView(_StaffView):
    """The learners of a course."""

    parameters = queries.CLASS
    renderer_classes = (JSONRenderer, CSVRenderer, NDJSONRenderer)

    def get(self, request: Request, course_key: str) -> HttpResponseBase:
        """Return a page of the class, or all of it as CSV or NDJSON, by the numbers of the last refresh."""
        key = self._permitted(course_key)
        kind = request.accepted_renderer.format
        query = queries.class_query(key, request.query_params, streamed=kind in _STREAMED)
        return self._stream(query, kind) if kind in _STREAMED else self._page(query)

    def _page(self, query: ClassQuery) -> Response:
        found = api.roster_page(query.roster, size=query.page_size, after=query.after, blocks=bool(query.levels))
        cursor = None if found.end is None else cursors.cursor_of(found.end, query.roster.order)
        entries: Entries = shapes.learners(tuple(found.entries), shapes.Listing(query.levels))
        key = str(query.roster.course_key)
        return Response({"course_key": key, "title": found.title, "next": self._next(cursor), "results": entries})

    def _stream(self, query: ClassQuery, kind: str) -> HttpResponseBase:
        key = str(query.roster.course_key)
        roster = api.whole_roster(query.roster, blocks=bool(query.levels))
        return stream(kind, key, shapes.rows(key, roster, shapes.Listing(query.levels)))


class SummaryView(_StaffView):
    """A class as a whole."""

    parameters = queries.SUMMARY

    def get(self, request: Request, course_key: str) -> Response:
        """Return where the class stands, by the numbers of the last refresh."""
        query = queries.summary_query(self._permitted(course_key), request.query_params)
        found = api.course_summary(query.course_key, levels=query.levels)
        return Response(shapes.summary(found))


def _tag(content: bytes) -> str:
    return f'W/"{blake2b(content, digest_size=16).hexdigest()}"'


def _matches(given: str, tag: str) -> bool:
    """Return whether the client has this already, by weak comparison."""
    tags = parse_etags(given)
    return tags == ["*"] or any(each.removeprefix("W/") == tag.removeprefix("W/") for each in tags)
