"""The operations of v0, described; importing this registers the descriptions."""

from typing import Final

from completion_aggregator.aggregation.rest_api import openapi_examples as examples
from completion_aggregator.aggregation.rest_api.openapi_components import Schema
from completion_aggregator.aggregation.rest_api.openapi_parts import (
    UNSUPPORTED,
    answers,
    describe,
    empty,
    errors,
    operation,
    path,
    query,
    unchanged,
)
from completion_aggregator.aggregation.rest_api.openapi_v1 import (
    COURSE_KEY,
    INCLUDE_OPTIONAL,
    MOBILE_ONLY,
    PAGE,
    PAGE_SIZE,
    REQUESTED_FIELDS,
    USERNAME,
    page_errors,
)

VIEWS: Final = "completion_aggregator.aggregation.rest_api.v0.views"

NAMED: Final = query("username", {"type": "string"}, USERNAME + ". Without it: oneself.")
BLOCK_KEY: Final = path("block_key", "The usage key of a block that can be completed.", examples.LEAF)
COMPLETION: Final[Schema] = {
    "type": "object",
    "properties": {
        "completion": {
            "description": "How much of the block is done: 1 is all. A number, or its text.",
            "oneOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": "^(0|1|0?\\.[0-9]{1,6}|1\\.0{1,6})$"},
            ],
        }
    },
    "required": ["completion"],
}


describe(
    f"{VIEWS}.CompletionListView",
    get=operation(
        "v0_courses_of_learner",
        tag="v0",
        summary="The courses of a learner",
        description="As in v1, with `ratio` in each tally.",
        parameters=[NAMED, REQUESTED_FIELDS, INCLUDE_OPTIONAL, MOBILE_ONLY, PAGE, PAGE_SIZE],
        responses=answers("PageV0", "A page of courses.", examples.V0_LIST)
        | page_errors(_404="For staff of the site: there is no such user. For all: no such page."),
        asked_by="ana",
    ),
)
describe(
    f"{VIEWS}.CompletionDetailView",
    get=operation(
        "v0_learner_of_course",
        tag="v0",
        summary="One learner of a course",
        description="The entry alone, without a page around it; with an `ETag`.",
        parameters=[COURSE_KEY, NAMED, REQUESTED_FIELDS, INCLUDE_OPTIONAL],
        responses=answers("EntryV0", "The learner's progress.", examples.V0_DETAIL)
        | unchanged()
        | page_errors(_404="The course key is none, or the learner has no active enrollment."),
        asked_by="ana",
    ),
)
describe(
    f"{VIEWS}.CompletionBlockUpdateView",
    post=operation(
        "v0_complete_block",
        tag="v0",
        summary="Complete a block",
        description="Always for the one who asks, who must be enrolled in the course. Keys of the old style, without a"
        " run, get that of the course.",
        parameters=[COURSE_KEY, BLOCK_KEY],
        body=(COMPLETION, examples.V0_COMPLETION),
        responses=empty("The block had a completion, which is now this one.", 200)
        | empty("The first completion of the block by this learner is stored.", 201)
        | errors(
            {
                400: "There is no number from 0 to 1, or blocks of this type cannot be completed: a line of text."
                " Or the body is no JSON.",
                404: "There is no such course, no such block in it, or no active enrollment: a line of text.",
                409: "The site does not track completion: a line of text.",
                415: UNSUPPORTED,
            },
            text=frozenset({400, 404, 409}),
        ),
        asked_by="ana",
    ),
)
