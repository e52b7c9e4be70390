"""Version 0: one's own progress by default, without envelope where it is one course; and completing a block."""

import math
from collections.abc import Mapping
from typing import Any

from completion.models import BlockCompletion
from completion.waffle import ENABLE_COMPLETION_TRACKING_SWITCH
from django.http import HttpResponse
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.rest_api.entries import EntryMaker, tally_v0
from completion_aggregator.aggregation.rest_api.parameters import course_key_of, fields_of
from completion_aggregator.aggregation.rest_api.v1 import views as v1
from completion_aggregator.aggregation.rest_api.views import CompletionViewMixin
from completion_aggregator.course_graph.blocks import CompletionMode
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse
from completion_aggregator.ports import get_platform


class CompletionListView(v1.CompletionListView):
    """The courses in which a learner is enrolled, by course key; one's own where nobody is named."""

    _default_is_self = True
    _tally = staticmethod(tally_v0)


class CompletionDetailView(CompletionViewMixin):
    """One learner in one course."""

    _default_is_self = True

    def get(self, request: Request, course_key: str) -> Response:
        """Return the learner's progress in the course."""
        self._course_key = key = course_key_of(course_key)
        user = self.user
        if not get_platform().is_enrolled(key, user.pk):  # before any look at the course
            raise NotFound
        fields = fields_of(self.values)
        name = user.get_username()
        standing = api.standings_of_learner(user.pk, [key], username=name)[key]
        make, username = EntryMaker(fields, tally=tally_v0), name if fields.username else None
        entry = make(key, standing, username=username, mean=v1.mean_of(key, fields))
        return self._revalidated(Response(entry()))

    def _not_enrolled(self, username: str) -> NotFound:
        return NotFound()


class CompletionBlockUpdateView(CompletionViewMixin):
    """Complete a block: always for the one who asks.

    Clients of this address look at the status alone. Beside it stands, for people, a line of plain text.
    """

    def post(self, request: Request, course_key: str, block_key: str) -> HttpResponse:
        """Store the completion; 201 for the first of this block, 200 for another value."""
        completion = completion_of(request.data)
        if completion is None:
            return _refused(400, "The body must be a JSON object with a number from 0 to 1 as its 'completion'.")
        keys = keys_of(course_key, block_key)
        if keys is None:
            return _refused(404, "There is no such course, or no such block in it.")
        key, block = keys
        if not get_platform().is_enrolled(key, int(request.user.pk or 0)):
            return _refused(404, "You have no active enrollment in this course.")
        mode = mode_of(key, block)
        if mode is None:
            return _refused(404, "There is no such block in this course.")
        if mode is not CompletionMode.COMPLETABLE:
            return _refused(400, "Blocks of this type cannot be completed.")
        if not ENABLE_COMPLETION_TRACKING_SWITCH.is_enabled():
            return _refused(409, "This site does not track completion: its switch for that is off.")
        _, is_new = BlockCompletion.objects.submit_completion(request.user, block, completion)
        return HttpResponse(status=201 if is_new else 200)


def completion_of(body: Any) -> float | None:
    """Return the completion in the body of a request; None where there is no number in [0, 1]."""
    value = body.get("completion") if isinstance(body, Mapping) else None
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0.0 <= number <= 1.0 else None


def keys_of(course_text: str, block_text: str) -> tuple[CourseKey, UsageKey] | None:
    """Return the keys of a course and a block; None where they are none, or the block is of another course.

    Keys of old blocks lack the run: it is filled in.
    """
    try:
        course_key, block_key = CourseKey.from_string(course_text), UsageKey.from_string(block_text)
    except InvalidKeyError:
        return None
    theirs = block_key.context_key
    if isinstance(theirs, CourseKey) and theirs.is_course and theirs.run is None:
        block_key = block_key.map_into_course(theirs.replace(run=course_key.run))
    return (course_key, block_key) if block_key.context_key == course_key else None


def mode_of(course_key: CourseKey, block_key: UsageKey) -> CompletionMode | None:
    """Return how the block takes part in completion; None where the course, as it is now, has no such block."""
    try:
        return api.completion_mode(course_key, block_key)
    except (UnknownCourse, InvalidCourse):
        return None


def _refused(status: int, reason: str) -> HttpResponse:
    return HttpResponse(reason + "\n", status=status, content_type="text/plain; charset=utf-8")
