"""Version 1: lists of a learner's courses, one course with one learner or everybody, and its figures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from opaque_keys.edx.keys import CourseKey
from rest_framework.exceptions import ParseError, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.rest_api.entries import EntryMaker, Tally, tally_v1
from completion_aggregator.aggregation.rest_api.parameters import (
    Fields,
    course_key_of,
    fields_of,
    is_true,
    root_block_of,
    user_ids_of,
)
from completion_aggregator.aggregation.rest_api.renderers import Entries
from completion_aggregator.aggregation.rest_api.views import CompletionViewMixin
from completion_aggregator.exceptions import InvalidCourse, UnknownCourse
from completion_aggregator.ports import get_platform

#: Names of roles in one request; a site has a dozen.
MOST_ROLES: Final = 100
#: A number that any database takes for a cohort's; below zero there are none.
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,9}")


class CompletionListView(CompletionViewMixin):
    """The courses in which a learner is enrolled, by course key."""

    _tally: Tally = staticmethod(tally_v1)

    def get(self, request: Request) -> Response:
        """Return a page of the learner's courses."""
        user = self.user
        mobile_only = is_true(self.values.get("mobile_only"))
        page = self._paginate(get_platform().enrolled_courses(user.pk, mobile_only=mobile_only))
        fields = fields_of(self.values)
        name = user.get_username()
        standings = api.standings_of_learner(user.pk, page, username=name)
        means = api.course_means(page) if fields.mean else {}
        make = EntryMaker(fields, tally=self._tally)
        username = name if fields.username else None
        return self._paged(Entries([make(key, standings[key], username=username, mean=means.get(key)) for key in page]))


class CompletionDetailView(CompletionViewMixin):
    """One course: one learner in it, or for its staff everybody, by user id."""

    def get(self, request: Request, course_key: str) -> Response:
        """Return a page of the course's learners, or the one who is named."""
        return self._detail(course_key)

    def post(self, request: Request, course_key: str) -> Response:
        """Answer as to GET; the parameters stand in the body, where there is room for more of them."""
        return self._detail(course_key)

    def _detail(self, course_text: str) -> Response:
        self._course_key = course_key = course_key_of(course_text)
        # Which fields there are says nothing of anybody, and of several faults clients are told this one, as ever.
        fields = fields_of(self.values)
        user = self.user
        if self._requested_user is not None and not get_platform().is_enrolled(course_key, user.pk):
            raise self._not_enrolled(user.get_username())
        user_ids = user_ids_of(self.values)
        if self._requested_user is None:
            return self._everybody(course_key, fields, user_ids)
        return self._revalidated(
            self._one(course_key, fields, user if user_ids is None or user.pk in user_ids else None)
        )

    def _everybody(self, course_key: CourseKey, fields: Fields, user_ids: frozenset[int] | None) -> Response:
        model = get_user_model()
        users = model._default_manager.filter(pk__in=get_platform().enrollments(course_key))
        if user_ids is not None:
            users = users.filter(pk__in=user_ids)
        page = self._paginate(users.order_by("pk").values_list("pk", model.USERNAME_FIELD))
        make, mean = self._maker(fields), mean_of(course_key, fields)
        standings = standings_of_class(course_key, [pk for pk, _ in page])
        return self._paged(Entries([make(course_key, standings[pk], username=name, mean=mean) for pk, name in page]))

    def _one(self, course_key: CourseKey, fields: Fields, user: AbstractBaseUser | None) -> Response:
        """Return a page of one learner; of nobody, if the one asked for is not among those to narrow it to."""
        entries = []
        for each in self._paginate([] if user is None else [user]):
            name = each.get_username()
            standing = api.standings_of_learner(each.pk, [course_key], username=name)[course_key]
            username = name if fields.username else None
            make = self._maker(fields)
            entries.append(make(course_key, standing, username=username, mean=mean_of(course_key, fields)))
        return self._paged(Entries(entries))

    def _maker(self, fields: Fields) -> EntryMaker:
        return EntryMaker(replace(fields, root_block=root_block_of(self.values)))


class CourseLevelCompletionStatsView(CompletionViewMixin):
    """The figures of a course, for its staff."""

    def get(self, request: Request, course_key: str) -> Response:
        """Return the mean completion of the course's learners, of one cohort, or without those of some roles."""
        self._course_key = key = course_key_of(course_key)
        fields = fields_of(self.values)
        if not self._may_read_all():
            raise PermissionDenied
        figures = api.course_figures(
            key, cohort_id=cohort_of(self.values), without_roles=roles_of(self.values.get("exclude_roles", ""))
        )
        entry: dict[str, Any] = {
            "course_key": str(key),
            "mean_completion": tally_v1(figures.earned, figures.possible, figures.percent),
        }
        if fields.mean:
            entry["mean"] = api.course_means([key])[key]
        return Response({"results": [entry]})


def mean_of(course_key: CourseKey, fields: Fields) -> float | None:
    """Return the mean of the course, where it is asked for."""
    return api.course_means([course_key])[course_key] if fields.mean else None


def standings_of_class(course_key: CourseKey, user_ids: Sequence[int]) -> Mapping[int, api.Standing | None]:
    """Return the standings of these learners; of a course that cannot be read, nothing is known."""
    try:
        return api.standings_of_class(course_key, user_ids)
    except (UnknownCourse, InvalidCourse):
        return dict.fromkeys(user_ids)


def cohort_of(values: Mapping[str, Any]) -> int | None:
    """Return the cohort to narrow figures to."""
    text = values.get("cohorts", "").strip(" ")
    if text == "":
        return None
    if not _WHOLE.fullmatch(text):
        raise ParseError(f"Invalid cohorts value(s): {{{text!r}}}")
    return int(text)


def roles_of(text: str) -> tuple[str, ...]:
    """Return the names in a list with commas."""
    names = dict.fromkeys(role for role in map(str.strip, text.split(",")) if role and "\0" not in role)
    if len(names) > MOST_ROLES:
        raise ParseError(f"Invalid exclude_roles value(s): more than {MOST_ROLES} at once")
    return tuple(names)
