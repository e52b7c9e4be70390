"""What each operation of v2 asks for: its parameters, and the frozen query that they are parsed into."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.http import QueryDict
from opaque_keys.edx.keys import CourseKey
from rest_framework.exceptions import ValidationError
from rest_framework.settings import api_settings

from completion_aggregator.aggregation.api import Order, Place, RosterQuery
from completion_aggregator.aggregation.rest_api.pages import DEFAULT_PAGE_SIZE
from completion_aggregator.aggregation.rest_api.v2 import cursors, parameters
from completion_aggregator.aggregation.rest_api.v2.parameters import Parameter
from completion_aggregator.conf import setting


class Form(StrEnum):
    """How the blocks of a learner are listed."""

    FLAT = "flat"
    TREE = "tree"


class Format(StrEnum):
    """The forms in which a class goes out."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


class JSONFormat(StrEnum):
    """The form in which everything else goes out."""

    JSON = "json"


_MOMENT: Final = {"type": "string", "format": "date-time"}
_PART: Final = {"type": "number", "minimum": 0, "maximum": 1}
_CURSOR: Final = "Where the page starts: taken from `next`, as it is."
_LEVELS: Final = (
    "Block types with commas between them, `all` for every block that sums up others, or `none`. The course itself is"
    " always told of and not listed again."
)
FORMAT: Final = Parameter(
    "format", "The form of the answer.", parameters.one_of(JSONFormat), {"type": "string", "enum": list(JSONFormat)}
)
PAGE_SIZE: Final = Parameter(
    "page_size", "How many entries a page has.", parameters.page_size_of, {"type": "integer", "minimum": 1}
)
LEVELS: Final = Parameter("levels", f"{_LEVELS} Default: the levels of the site's settings.", parameters.levels_of)

COURSES: Final = (
    Parameter("username", "Whose courses: anybody's, for staff of the site. Default: one's own.", parameters.text_of),
    Parameter("cursor", _CURSOR, cursors.course_of),
    PAGE_SIZE,
    FORMAT,
)
LEARNER: Final = (
    LEVELS,
    Parameter(
        "form",
        "`flat` lists the blocks in the order of the course. `tree` nests each block under its nearest listed"
        " ancestors; one with two parents stands under both.",
        parameters.one_of(Form),
        {"type": "string", "enum": list(Form)},
        Form.FLAT,
    ),
    Parameter(
        "as_of",
        "Count only completions that were last changed at or before this moment, by the content and the rules of now."
        " A completion that was changed later counts as not yet made, whatever it was before. Default: now.",
        parameters.moment_of,
        _MOMENT,
    ),
    FORMAT,
)
CLASS: Final = (
    Parameter("cohort", "Learners of the cohort with this id.", parameters.id_of, {"type": "integer", "minimum": 0}),
    Parameter("mode", "Learners enrolled in this mode, such as `audit` or `verified`.", parameters.text_of),
    Parameter("percent_min", "Learners with at least this percent, from 0 to 1.", parameters.percent_of, _PART),
    Parameter("percent_max", "Learners with at most this percent, from 0 to 1.", parameters.percent_of, _PART),
    Parameter("active_since", "Learners last active at or after this moment.", parameters.moment_of, _MOMENT),
    Parameter(
        "active_before",
        "Learners last active before this moment; not those who never were.",
        parameters.moment_of,
        _MOMENT,
    ),
    Parameter(
        "never_active",
        "`true`: learners who never were active.",
        parameters.flag_of,
        {"type": "boolean"},
        default=False,
    ),
    Parameter(
        "sort",
        "`id`: by the id of the user. `percent`, `activity`: ascending, never active first; with a minus sign,"
        " descending. Equals stand by id.",
        parameters.one_of(Order),
        {"type": "string", "enum": list(Order)},
        Order.ID,
    ),
    Parameter("levels", f"{_LEVELS} Default: none.", parameters.levels_of, default=frozenset()),
    Parameter("cursor", f"{_CURSOR} Only with `format=json`.", cursors.place_of),
    Parameter(
        "page_size", f"{PAGE_SIZE.description} Only with `format=json`.", parameters.page_size_of, PAGE_SIZE.schema
    ),
    Parameter(
        "format",
        "`json`: a page. `csv`, `ndjson`: the whole class, a row for each learner and block. Wins over the header"
        " Accept.",
        parameters.one_of(Format),
        {"type": "string", "enum": list(Format)},
    ),
)
SUMMARY: Final = (LEVELS, FORMAT)


@dataclass(frozen=True, slots=True)
class CoursesQuery:
    """A page of somebody's courses, behind the one with the key ``after``."""

    username: str | None
    after: str | None
    page_size: int


@dataclass(frozen=True, slots=True)
class LearnerQuery:
    """One learner in one course. ``as_of``: None for now. ``levels``: None for those of the settings."""

    course_key: CourseKey
    username: str
    levels: frozenset[str] | None
    form: Form
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class ClassQuery:
    """A page of a class, or all of it."""

    roster: RosterQuery
    levels: frozenset[str]
    after: Place | None
    page_size: int


@dataclass(frozen=True, slots=True)
class SummaryQuery:
    """A class as a whole."""

    course_key: CourseKey
    levels: frozenset[str] | None


def courses_query(given: QueryDict) -> CoursesQuery:
    """Parse the parameters of a list of courses. Raises ValidationError."""
    values = parameters.read_all(given, COURSES)
    return CoursesQuery(values["username"], values["cursor"], _page_size(values))


def learner_query(course_key: CourseKey, username: str, given: QueryDict) -> LearnerQuery:
    """Parse the parameters of one learner. Raises ValidationError."""
    values = parameters.read_all(given, LEARNER)
    return LearnerQuery(course_key, username, values["levels"], values["form"], values["as_of"])


def class_query(course_key: CourseKey, given: QueryDict, *, streamed: bool) -> ClassQuery:
    """Parse the parameters of a class; *streamed*: all of it is wanted at once. Raises ValidationError."""
    values = parameters.read_all(given, CLASS)
    order, after = values["cursor"] or (values["sort"], None)
    wrong = dict(_contradictions(values, order, streamed=streamed))
    if wrong:
        raise ValidationError(wrong)
    roster = RosterQuery(
        course_key=course_key,
        mode=values["mode"],
        cohort_id=values["cohort"],
        percent_min=values["percent_min"],
        percent_max=values["percent_max"],
        active_since=values["active_since"],
        active_before=values["active_before"],
        never_active=values["never_active"],
        order=values["sort"],
    )
    return ClassQuery(roster, values["levels"], after, _page_size(values))


def summary_query(course_key: CourseKey, given: QueryDict) -> SummaryQuery:
    """Parse the parameters of a summary. Raises ValidationError."""
    return SummaryQuery(course_key, parameters.read_all(given, SUMMARY)["levels"])


def _contradictions(values: dict[str, Any], order: Order, *, streamed: bool) -> Iterator[tuple[str, list[str]]]:
    if order != values["sort"]:
        yield "cursor", ["It is of another order: give the same sort as for the first page."]
    if streamed:
        for name in ("cursor", "page_size"):
            if values[name] is not None:
                yield name, ["Not with csv or ndjson: they hold the whole class."]
    if values["never_active"] and (values["active_since"] or values["active_before"]):
        yield "never_active", ["Not with active_since or active_before."]


def _page_size(values: dict[str, Any]) -> int:
    return int(values["page_size"] or min(api_settings.PAGE_SIZE or DEFAULT_PAGE_SIZE, setting("MAX_PAGE_SIZE")))
