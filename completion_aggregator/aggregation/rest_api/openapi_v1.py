"""The operations of v1, described; importing this registers the descriptions."""

from typing import Any, Final

from completion_aggregator.aggregation.rest_api import openapi_examples as examples
from completion_aggregator.aggregation.rest_api.openapi_components import Schema
from completion_aggregator.aggregation.rest_api.openapi_parts import (
    UNSUPPORTED,
    answers,
    describe,
    errors,
    operation,
    path,
    query,
    unchanged,
)

VIEWS: Final = "completion_aggregator.aggregation.rest_api.v1.views"

FIELDS: Final = ("mean", "username", "course", "chapter", "sequential", "vertical")
NAMES: Final[Schema] = {"type": "string", "enum": ["", *FIELDS]}
FLAG: Final[Schema] = {"type": "string", "default": "false"}
#: Ids with commas or points between them; spaces, and places with nothing in them, do no harm.
IDS: Final[Schema] = {
    "type": "string",
    "pattern": r"^([ ,.]*-?[0-9]{1,18} *([,.][ ,.]*-?[0-9]{1,18} *)*[ ,.]*)?$",
}
BAD_FIELDS: Final = "`requested_fields` has a name that means nothing here; the error names it."

COURSE_KEY: Final = path("course_key", "The key of the course.", examples.COURSE)
USERNAME: Final = "Whose progress, in any case of letters. Others than oneself only for staff of the site"

REQUESTED_FIELDS: Final = query(
    "requested_fields",
    {"type": "array", "items": NAMES, "default": []},
    "What entries have beside the course's own tally: block types, whose blocks are then listed, `mean` and `username`."
    " A site may know further types of blocks that hold others (`library_content`); it accepts their names, and"
    " lists nothing for those that it does not tell of. Names that are empty mean nothing.",
    ["chapter", "username"],
)
INCLUDE_OPTIONAL: Final = query(
    "include_optional",
    FLAG,
    "`true`, in any case of letters: add `optional_completion`, the tally of optional blocks, which `completion` does"
    " not count. Any other text is no.",
)
PAGE: Final = query(
    "page",
    {"type": ["integer", "string"], "default": 1},
    "The number of the page, from 1, or `last`. A page that does not exist is 404.",
)
PAGE_SIZE: Final = query(
    "page_size",
    {"type": ["integer", "string"], "default": 10},
    "Entries on a page. At most 100 unless the site says otherwise: more are cut to that. What is no number above zero"
    " means the default.",
)
MOBILE_ONLY: Final = query(
    "mobile_only", FLAG, "`true`, in any case of letters: only courses that are made for phones. Any other text is no."
)
USER_IDS: Final = query(
    "user_ids",
    IDS,
    "Only these users, by their ids, with commas or points between them; at most 10,000. Nothing means everybody.",
)
ROOT_BLOCK: Final = query(
    "root_block",
    {"type": "string"},
    "The usage key of a block of the course: list only blocks at or below it. The course's own tally stays.",
)
COHORTS: Final = query(
    "cohorts",
    {"type": "string", "pattern": "^ *([+-]?[0-9]{1,9} *)?$"},
    "The id of one cohort: only its members. Nothing: all.",
)
EXCLUDE_ROLES: Final = query(
    "exclude_roles",
    {"type": "string"},
    "Names of access roles, with commas between them: without those who have one of them in this course.",
    "staff,beta_testers",
)

BODY: Final[Schema] = {
    "type": "object",
    "properties": {
        "username": {"type": ["string", "null"], "description": USERNAME + "."},
        "requested_fields": {
            "description": "As in the query; a list, or a text with commas.",
            "oneOf": [
                {"type": "array", "items": NAMES},
                {"type": "string", "enum": ["", *FIELDS, "chapter,sequential"]},
                {"type": "null"},
            ],
        },
        "include_optional": {"description": "`true`, `1` or the text `true`. Anything else is no.", "default": False},
        "user_ids": {
            "description": "As in the query; a list, a text, or one id. Nothing, and [], mean everybody.",
            "oneOf": [
                {"type": "array", "items": {"type": "integer", "minimum": 1 - 2**63, "maximum": 2**63 - 1}},
                {"type": "integer", "minimum": 1 - 2**63, "maximum": 2**63 - 1},
                IDS,
                {"type": "null"},
            ],
        },
        "root_block": {"type": ["string", "null"], "description": "As in the query."},
    },
}


def page_errors(**reasons: str) -> dict[Any, Any]:
    """Return the errors of an operation that takes fields and pages."""
    return errors({400: BAD_FIELDS} | {int(name[1:]): text for name, text in reasons.items()})


DETAIL_PARAMETERS: Final = [
    COURSE_KEY,
    query(
        "username", {"type": "string"}, USERNAME + " and of the course. Without it: everybody, for staff alone.", "ana"
    ),
    REQUESTED_FIELDS,
    INCLUDE_OPTIONAL,
    USER_IDS,
    ROOT_BLOCK,
    PAGE,
    PAGE_SIZE,
]
DETAIL_404: Final = (
    "The course key or the root block is no such key; the learner has no active enrollment in the"
    " course; or there is no such page. `detail` says which."
)
DETAIL: Final = (
    "Learners who are enrolled, by user id; a page even where one is named. Entries of everybody always have"
    " `username`. What is answered of one who is named is worked out from their completions now, of everybody as last"
    " refreshed.\n\nThe properties of an entry come in this order: `course_key`, `completion`, `username`, `mean`,"
    " `optional_completion`, then block types in the order asked for."
)

describe(
    f"{VIEWS}.CompletionListView",
    get=operation(
        "v1_courses_of_learner",
        tag="v1",
        summary="The courses of a learner",
        description="One entry for each course with an active enrollment, by course key. Learners must name themselves;"
        " for staff of the site, nobody named means themselves.",
        parameters=[
            query("username", {"type": "string"}, USERNAME + ".", "ana"),
            REQUESTED_FIELDS,
            INCLUDE_OPTIONAL,
            MOBILE_ONLY,
            PAGE,
            PAGE_SIZE,
        ],
        responses=answers("PageV1", "A page of courses.", examples.V1_LIST)
        | page_errors(_404="For staff of the site: there is no such user. For all: no such page."),
        asked_by="ana",
    ),
)
describe(
    f"{VIEWS}.CompletionDetailView",
    get=operation(
        "v1_learners_of_course",
        tag="v1",
        summary="One learner of a course, or all",
        description=DETAIL,
        parameters=DETAIL_PARAMETERS,
        responses=answers("PageV1", "A page of learners.", examples.V1_DETAIL)
        | unchanged()
        | page_errors(_400=f"{BAD_FIELDS} Or `user_ids` has something else than ids.", _404=DETAIL_404),
        asked_by="teacher",
    ),
    post=operation(
        "v1_learners_of_course_by_body",
        tag="v1",
        summary="The same, with the parameters in the body",
        description="For more parameters than an address holds. " + DETAIL,
        parameters=[COURSE_KEY, PAGE, PAGE_SIZE],
        body=(BODY, examples.V1_BODY),
        responses=answers("PageV1", "A page of learners.", examples.V1_CLASS)
        | page_errors(
            _400=f"{BAD_FIELDS} Or the body is no JSON object, or one of its values is not of its type.",
            _404=DETAIL_404,
            _415=UNSUPPORTED,
        ),
        asked_by="teacher",
    ),
)
describe(
    f"{VIEWS}.CourseLevelCompletionStatsView",
    get=operation(
        "v1_figures_of_course",
        tag="v1",
        summary="The mean completion of a course's learners",
        description="For staff of the course or the site. All numbers are 0.0 where nobody is enrolled.",
        parameters=[
            COURSE_KEY,
            query(
                "requested_fields",
                {"type": "array", "items": NAMES, "default": []},
                "`mean` adds the mean that entries of learners have; the other names are accepted and add nothing.",
                ["mean"],
            ),
            COHORTS,
            EXCLUDE_ROLES,
        ],
        responses=answers("StatsV1", "One entry, of this course.", examples.V1_STATS)
        | page_errors(_400=f"{BAD_FIELDS} Or `cohorts` is not one id.", _404="The course key is none."),
        asked_by="teacher",
    ),
)
