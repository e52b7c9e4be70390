"""The values in the examples of v2; see ``openapi_examples``."""

from typing import Any, Final

from completion_aggregator.aggregation.records import COLUMNS
from completion_aggregator.aggregation.rest_api.openapi_examples import COURSE, FLIGHT, LANDING, Value
from completion_aggregator.aggregation.rest_api.renderers import dumps

ASKED: Final = "2026-10-01T12:00:00Z"
ASCENT: Final = "block-v1:DemoX+Moon+2026+type@sequential+block@ascent"
DESCENT: Final = "block-v1:DemoX+Moon+2026+type@sequential+block@descent"
ROOT: Final = "block-v1:DemoX+Moon+2026+type@course+block@course"
ANA_LAST: Final = "2026-09-04T08:00:00Z"
BOB_LAST: Final = "2026-09-02T08:00:00Z"


def _sums(earned: float, possible: float) -> Value:
    return {"earned": earned, "possible": possible, "percent": earned / possible if possible else 1.0}


def _tally(earned: float, possible: float, *optional: float) -> Value:
    return {**_sums(earned, possible), "optional": _sums(*optional)}


def _block(key: str, title: str, tally: Value, **more: Any) -> Value:
    kind = key.partition("type@")[2].partition("+")[0]
    return {"block_key": key, "block_type": kind, "title": title, **tally, **more}


def _of_class(username: str, progress: Value, flight: Value, landing: Value) -> Value:
    blocks = [_block(FLIGHT, "The flight", flight), _block(LANDING, "The landing", landing)]
    return {"username": username, "as_of": ASKED, "progress": progress, "blocks": blocks}


def _counted(started: int, half: int, finished: int, mean: float, deciles: list[float]) -> Value:
    numbers = {"learners": 3, "started": started, "half": half, "finished": finished, "mean": mean}
    return {**numbers, "deciles": [each for each in deciles for _ in range(3)]}


def _rows() -> list[tuple[Any, ...]]:
    """Return the rows of the class: one for the course and one for each chapter of each learner."""
    found = []
    for learner in CLASS["results"]:
        course = _block(ROOT, "", learner["progress"])
        for block in (course, *learner["blocks"]):
            sums = [*list(block.values())[3:6], *block["optional"].values()]
            last = block.get("last_activity")
            found.append((learner["username"], COURSE, block["block_key"], block["block_type"], *sums, last))
    return found


_NO_OPTIONAL: Final = (0.0, 0.0)
_ANA: Final = _tally(3.0, 4.0, 1.0, 1.0) | {"last_activity": ANA_LAST}
_BOB: Final = _tally(1.5, 4.0, 0.0, 1.0) | {"last_activity": BOB_LAST}
_FLOWN: Final = _tally(2.0, 2.0, *_NO_OPTIONAL)
_NOT_LANDED: Final = _tally(0.0, 2.0, 0.0, 1.0)

COURSES: Final[Value] = {
    "username": "ana",
    "as_of": ASKED,
    "next": None,
    "results": [{"course_key": COURSE, "title": "The Moon", "progress": _ANA}],
}
#: Before she had begun with the landing.
LEARNER: Final[Value] = {
    "course_key": COURSE,
    "username": "ana",
    "as_of": "2026-09-02T12:00:00Z",
    "title": "The Moon",
    "progress": _tally(2.0, 4.0, 0.0, 1.0) | {"last_activity": BOB_LAST},
    "blocks": [
        _block(
            FLIGHT,
            "The flight",
            _FLOWN,
            last_activity=BOB_LAST,
            children=[_block(ASCENT, "Ascent", _FLOWN, last_activity=BOB_LAST, children=[])],
        ),
        _block(
            LANDING,
            "The landing",
            _NOT_LANDED,
            last_activity=None,
            children=[_block(DESCENT, "Descent", _NOT_LANDED, last_activity=None, children=[])],
        ),
    ],
}
CLASS: Final[Value] = {
    "course_key": COURSE,
    "title": "The Moon",
    "next": None,
    "results": [
        _of_class("ana", _ANA, _FLOWN, _tally(1.0, 2.0, 1.0, 1.0)),
        _of_class("bob", _BOB, _tally(1.5, 2.0, *_NO_OPTIONAL), _NOT_LANDED),
    ],
}
CSV: Final = "".join(",".join("" if each is None else str(each) for each in row) + "\n" for row in (COLUMNS, *_rows()))
NDJSON: Final = "".join(dumps(dict(zip(COLUMNS, row, strict=True))).decode() + "\n" for row in _rows())
SUMMARY: Final[Value] = {
    "course_key": COURSE,
    "title": "The Moon",
    **_counted(2, 1, 0, 0.375, [0.0, 0.375, 0.75]),
    "histogram": [1, 0, 0, 1, 0, 0, 0, 1, 0, 0],
    "blocks": [
        _block(FLIGHT, "The flight", {"depth": 1, **_counted(2, 2, 1, 1.75 / 3, [0.0, 0.75, 1.0])}),
        _block(LANDING, "The landing", {"depth": 1, **_counted(1, 1, 0, 0.5 / 3, [0.0, 0.0, 0.5])}),
    ],
}
