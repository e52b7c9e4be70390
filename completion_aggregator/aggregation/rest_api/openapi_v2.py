"""The operations of v2, described from the parameters that their views declare; importing this registers them."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from completion_aggregator.aggregation.rest_api import openapi_examples as examples
from completion_aggregator.aggregation.rest_api import openapi_examples_v2 as examples_v2
from completion_aggregator.aggregation.rest_api.openapi_components import Schema, ref
from completion_aggregator.aggregation.rest_api.openapi_parts import (
    JSON,
    answers,
    describe,
    errors,
    operation,
    path,
    query,
    unchanged,
)
from completion_aggregator.aggregation.rest_api.v2 import queries
from completion_aggregator.aggregation.rest_api.v2.parameters import Parameter
from completion_aggregator.aggregation.rest_api.v2.streams import CSVRenderer, NDJSONRenderer

VIEWS: Final = "completion_aggregator.aggregation.rest_api.v2.views"
INVALID: Final = "A parameter has no such value, or there is no such parameter."
NO_COURSE: Final = "There is no such course, or its content cannot be read."

COURSE_KEY: Final = path("course_key", "The key of the course.", examples.COURSE)
USERNAME: Final = path("username", "The learner, in any case of letters.", "ana")
#: What the views cannot say of their parameters without more words than they need.
_SCHEMAS: Final[Mapping[str, Schema]] = {
    "levels": {
        "oneOf": [
            {"type": "string", "enum": ["all", "none", "chapter,sequential"]},
            {"type": "string", "enum": ["course", "chapter", "sequential", "vertical"]},
        ]
    },
    "username": {"type": "string", "minLength": 1, "maxLength": 255},
    "mode": {"type": "string", "minLength": 1, "maxLength": 255},
    "cohort": {"maximum": 10**18 - 1},
    "page_size": {"maximum": 100, "default": 10},
}


def parameters(declared: Sequence[Parameter], **given: Any) -> list[OpenApiParameter]:
    """Return the parameters of the query that a view declares; *given*: their values in the example."""
    return [query(each.name, _schema(each), each.description, given.get(each.name)) for each in declared]


def _schema(parameter: Parameter) -> Schema:
    schema: Schema = {**parameter.schema, **_SCHEMAS.get(parameter.name, {})}
    if isinstance(parameter.default, Enum | bool):
        schema["default"] = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    if "oneOf" in schema:
        del schema["type"]
    return schema


def _errors(*, missing: str | None = None) -> dict[Any, Any]:
    invalid = {(400, JSON): OpenApiResponse(ref("Invalid"), description=INVALID)}
    return errors({404: missing} if missing else {}) | invalid


describe(
    f"{VIEWS}.CourseListView",
    get=operation(
        "courses_of_learner",
        tag="v2",
        summary="The courses of a learner",
        description="One entry for each active enrollment, worked out from the completions now.",
        parameters=parameters(queries.COURSES, page_size=10),
        responses=answers("Courses", "A page of courses.", examples_v2.COURSES)
        | _errors(missing="For staff of the site: there is no such user."),
        asked_by="ana",
    ),
)
describe(
    f"{VIEWS}.LearnerView",
    get=operation(
        "learner_in_course",
        tag="v2",
        summary="One learner in one course",
        description="For the learner, and for staff of the course or the site; worked out from the completions now. The"
        " answer has an `ETag`; sent back as `If-None-Match`, it saves the body of one that has not changed.",
        parameters=[
            COURSE_KEY,
            USERNAME,
            *parameters(queries.LEARNER, levels="chapter,sequential", form="tree", as_of="2026-09-02T12:00:00Z"),
        ],
        responses=answers("Learner", "The learner's progress.", examples_v2.LEARNER)
        | unchanged()
        | _errors(missing=f"{NO_COURSE} Or the learner has no active enrollment in it."),
        asked_by="teacher",
    ),
)
describe(
    f"{VIEWS}.ClassView",
    get=operation(
        "learners_of_course",
        tag="v2",
        summary="The learners of a course",
        description="For staff of the course or the site; by the numbers of the last refresh, which each entry names."
        " JSON comes in pages; follow `next`. CSV and NDJSON hold the whole class, and are sent while it is read.",
        parameters=[COURSE_KEY, *parameters(queries.CLASS, sort="-percent", levels="chapter", percent_min=0.1)],
        responses=answers("Class", "A page of learners, or all in rows.", examples_v2.CLASS)
        | answers("Table", "", examples_v2.CSV, media_type=CSVRenderer.media_type)
        | answers("Lines", "", examples_v2.NDJSON, media_type=NDJSONRenderer.media_type)
        | _errors(missing=NO_COURSE),
        asked_by="teacher",
    ),
)
describe(
    f"{VIEWS}.SummaryView",
    get=operation(
        "summary_of_course",
        tag="v2",
        summary="A class as a whole",
        description="For staff of the course or the site; by the numbers of the last refresh.",
        parameters=[COURSE_KEY, *parameters(queries.SUMMARY, levels="chapter")],
        responses=answers("Summary", "The class.", examples_v2.SUMMARY) | _errors(missing=NO_COURSE),
        asked_by="teacher",
    ),
)
