"""The shapes of answers, as JSON schemas that operations refer to by name."""

from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]


def ref(name: str) -> Schema:
    """Return a reference to one of ``SCHEMAS``."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(description: str, properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object with these properties and no others, in their order."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def page_of(entry: str) -> Schema:
    """Return the schema of a page of v0 and v1."""
    results = {"type": "array", "items": ref(entry)}
    return record("One page.", {"results": results, "pagination": ref("Pagination")})


COURSE_KEY: Final[Schema] = {"type": "string", "description": "The key of the course."}
BLOCK_KEY: Final[Schema] = {"type": "string", "description": "The usage key of the block."}
USERNAME: Final[Schema] = {"type": "string", "description": "Whose progress it is."}
PERCENT: Final[Schema] = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "description": "Earned out of possible: 1.0 is all. 1.0, too, where nothing is possible.",
}
MEAN: Final[Schema] = PERCENT | {
    "description": "The mean percent of the course's learners, without those who have an access role in it;"
    " kept for some minutes."
}
EARNED: Final[Schema] = {
    "type": "number",
    "minimum": 0,
    "description": "The completions of the blocks below, added up.",
}
POSSIBLE: Final[Schema] = {
    "type": ["number", "null"],
    "minimum": 0,
    "description": "How many blocks below can be completed. null: nothing is known of the course's content.",
}
_TALLY: Final = {"earned": EARNED, "possible": POSSIBLE, "percent": PERCENT}
_RATIO: Final = PERCENT | {"description": "The percent, under its older name."}


def _entry(tally: str, block: str) -> Schema:
    properties = {
        "course_key": COURSE_KEY,
        "completion": ref(tally),
        "username": USERNAME,
        "mean": MEAN,
        "optional_completion": ref(tally),
    }
    of_types: Schema = {
        "type": "array",
        "items": ref(block),
        "description": "For each block type asked for, under its name: the blocks that the learner sees, in the order"
        " of the course. A block with two parents stands here once.",
    }
    shape = record("One learner in one course.", properties, optional=("username", "mean", "optional_completion"))
    return shape | {"additionalProperties": of_types}


def _block(tally: str) -> Schema:
    properties = {
        "course_key": COURSE_KEY,
        "block_key": BLOCK_KEY,
        "completion": ref(tally),
        "optional_completion": ref(tally),
    }
    return record("One learner at one block.", properties, optional=("optional_completion",))


SCHEMAS: Final[dict[str, Schema]] = {
    "Error": record("Why a request was refused.", {"detail": {"type": "string", "description": "A sentence."}}),
    "RefusedLogIn": {
        "type": "object",
        "description": "What is wrong, by field; `detail` where the body cannot be read.",
        "properties": {"detail": {"type": "string"}},
        "additionalProperties": {"type": "array", "items": {"type": "string"}},
    },
    "Token": record("What a program logs in with.", {"token": {"type": "string", "pattern": "^[0-9a-f]{40}$"}}),
    "Pagination": record(
        "Where this page stands among all.",
        {
            "next": {"type": ["string", "null"], "format": "uri", "description": "The address of the next page."},
            "previous": {"type": ["string", "null"], "format": "uri", "description": "That of the one before."},
            "count": {"type": "integer", "minimum": 0, "description": "How many entries all pages have."},
            "num_pages": {"type": "integer", "minimum": 1, "description": "How many pages there are."},
        },
    ),
    "TallyV1": record("What is completed out of what can be.", _TALLY),
    "TallyV0": record("What is completed out of what can be.", _TALLY | {"ratio": _RATIO}),
    "BlockV1": _block("TallyV1"),
    "BlockV0": _block("TallyV0"),
    "EntryV1": _entry("TallyV1", "BlockV1"),
    "EntryV0": _entry("TallyV0", "BlockV0"),
    "PageV1": page_of("EntryV1"),
    "PageV0": page_of("EntryV0"),
    "StatsV1": record(
        "The figures of a course.",
        {
            "results": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": record(
                    "The figures of one course.",
                    {"course_key": COURSE_KEY, "mean_completion": ref("TallyV1"), "mean": MEAN},
                    optional=("mean",),
                ),
            }
        },
    ),
}
