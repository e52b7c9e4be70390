"""The shapes of v2's answers and of the webhook, as JSON schemas that operations refer to by name."""

from typing import Any, Final

from completion_aggregator.aggregation.records import COLUMNS, TEXTS
from completion_aggregator.aggregation.rest_api.openapi_components import (
    BLOCK_KEY,
    COURSE_KEY,
    EARNED,
    PERCENT,
    USERNAME,
    Schema,
    record,
    ref,
)

_POSSIBLE: Final[Schema] = {"type": "number", "minimum": 0, "description": "How many blocks below can be completed."}
_BLOCK_TYPE: Final[Schema] = {"type": "string", "description": "Such as `chapter`."}
_TITLE: Final[Schema] = {"type": "string", "description": "What it is called; may be empty."}
_NEXT: Final[Schema] = {
    "type": ["string", "null"],
    "format": "uri",
    "description": "The next page; null: the last one.",
}
_SUMS: Final[dict[str, Schema]] = {"earned": EARNED, "possible": _POSSIBLE, "percent": PERCENT}
_TALLY: Final[dict[str, Schema]] = {**_SUMS, "optional": ref("OptionalTally")}
_BLOCK: Final[dict[str, Schema]] = {
    "block_key": BLOCK_KEY,
    "block_type": _BLOCK_TYPE,
    "title": _TITLE,
    **_TALLY,
}
_CLASS: Final[dict[str, Schema]] = {
    "learners": {"type": "integer", "minimum": 0, "description": "How many there are; of a block: who see it."},
    "started": {"type": "integer", "minimum": 0, "description": "How many earned anything."},
    "half": {"type": "integer", "minimum": 0, "description": "How many are at 50 % or above."},
    "finished": {"type": "integer", "minimum": 0, "description": "How many are at 100 %."},
    "mean": PERCENT | {"description": "The mean of their percents; 0.0 where there are none."},
    "deciles": {
        "type": "array",
        "items": PERCENT,
        "minItems": 0,
        "maxItems": 9,
        "description": "The least percents that 10 %, 20 % ... 90 % of them do not exceed; empty where there are none.",
    },
}


def moment(description: str, *, nullable: bool = False) -> Schema:
    """Return the schema of a moment."""
    kind: Any = ["string", "null"] if nullable else "string"
    return {"type": kind, "format": "date-time", "description": description}


def _list(of: str, description: str) -> Schema:
    return {"type": "array", "items": ref(of), "description": description}


_ACTIVITY: Final = moment("When the newest completion below was last changed; null: never.", nullable=True)
_AS_OF: Final = moment("The moment whose progress this is.")

SCHEMAS: Final[dict[str, Schema]] = {
    "Invalid": {
        "type": "object",
        "description": "What is wrong with the parameters, by name.",
        "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "OptionalTally": record("The same of the optional blocks, which are not counted otherwise.", _SUMS),
    "Progress": record("A learner in a course.", {**_TALLY, "last_activity": _ACTIVITY}),
    "Courses": record(
        "A page of a learner's courses.",
        {
            "username": USERNAME,
            "as_of": _AS_OF,
            "next": _NEXT,
            "results": _list("CourseOfLearner", "By course key."),
        },
    ),
    "CourseOfLearner": record(
        "One course of a learner.",
        {
            "course_key": COURSE_KEY,
            "title": _TITLE,
            "progress": {
                "description": "null: the content of the course cannot be read.",
                "oneOf": [ref("Progress"), {"type": "null"}],
            },
        },
    ),
    "Learner": record(
        "One learner in one course.",
        {
            "course_key": COURSE_KEY,
            "username": USERNAME,
            "as_of": _AS_OF,
            "title": _TITLE,
            "progress": ref("Progress"),
            "blocks": _list("BlockOfLearner", "The blocks of the levels asked for, in the order of the course."),
        },
    ),
    "BlockOfLearner": record(
        "One learner at one block.",
        {
            **_BLOCK,
            "last_activity": _ACTIVITY,
            "children": _list("BlockOfLearner", "With `form=tree`: the listed blocks that are nearest below."),
        },
        optional=("children",),
    ),
    "Class": record(
        "A page of a class.",
        {
            "course_key": COURSE_KEY,
            "title": _TITLE,
            "next": _NEXT,
            "results": _list("LearnerOfClass", "In the order asked for."),
        },
    ),
    "LearnerOfClass": record(
        "One learner of a class.",
        {
            "username": USERNAME,
            "as_of": moment("When these numbers were worked out."),
            "progress": ref("Progress"),
            "blocks": _list("BlockOfClass", "The blocks of the levels asked for, in the order of the course."),
        },
    ),
    "BlockOfClass": record("One learner of a class at one block.", _BLOCK),
    "Row": record(
        "One learner at one block: a line of NDJSON, and the columns of CSV.",
        {name: {"type": "string"} for name in COLUMNS[:TEXTS]}
        | {name: {"type": "number"} for name in COLUMNS[TEXTS:-1]}
        | {COLUMNS[-1]: moment("Of the course's row: the newest completion. Otherwise null.", nullable=True)},
    ),
    "Table": {"type": "string", "description": f"A line of names, `{','.join(COLUMNS)}`, then one for each row."},
    "Lines": {"type": "string", "description": "A JSON object on each line, of the shape of `Row`."},
    "Summary": record(
        "A class as a whole.",
        {
            "course_key": COURSE_KEY,
            "title": _TITLE,
            **_CLASS,
            "histogram": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": 10,
                "maxItems": 10,
                "description": "How many learners are at 0 to 10 %, 10 to 20 % ... 90 to 100 %, each without its end"
                " but the last.",
            },
            "blocks": _list("BlockSummary", "The blocks of the levels asked for, in the order of the course."),
        },
    ),
    "BlockSummary": record(
        "A class at one block.",
        {
            "block_key": BLOCK_KEY,
            "block_type": _BLOCK_TYPE,
            "title": _TITLE,
            "depth": {"type": "integer", "minimum": 1, "description": "1: right below the course."},
            **_CLASS,
        },
    ),
    "ThresholdReached": record(
        "That a learner reached a threshold in a block.",
        {
            "type": {"type": "string", "const": "threshold_reached"},
            "event_id": {"type": "string", "format": "uuid", "description": "The same however often this is told."},
            "user_id": {"type": "integer", "description": "The id of the user."},
            "username": {"type": "string"},
            "course_key": COURSE_KEY,
            "block_key": BLOCK_KEY,
            "block_type": _BLOCK_TYPE,
            "threshold": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "percent": PERCENT | {"description": "What was reached: at least the threshold."},
            "reached_at": moment("When."),
            "crossing": {
                "type": "integer",
                "minimum": 1,
                "description": "1 for the first time; 2 for the first time after falling below it again, as when"
                " content is added; and so on.",
            },
        },
    ),
}
