"""The values in the examples. A test asks each operation its example and compares what is answered with these.

Ana has done three of four blocks of a small course, Bob one and a half, Cleo none and was never refreshed.
"""

from typing import Any, Final, TypeAlias

Value: TypeAlias = dict[str, Any]

COURSE: Final = "course-v1:DemoX+Moon+2026"
LEAF: Final = "block-v1:DemoX+Moon+2026+type@problem+block@remainder"
FLIGHT: Final = "block-v1:DemoX+Moon+2026+type@chapter+block@flight"
LANDING: Final = "block-v1:DemoX+Moon+2026+type@chapter+block@landing"


def _tally(earned: float, possible: float) -> Value:
    return {"earned": earned, "possible": possible, "percent": earned / possible}


def _tally_v0(earned: float, possible: float) -> Value:
    return _tally(earned, possible) | {"ratio": earned / possible}


def _page(*entries: Value) -> Value:
    pagination = {"next": None, "previous": None, "count": len(entries), "num_pages": 1}
    return {"results": list(entries), "pagination": pagination}


def _ana(tally: Any) -> Value:
    return {
        "course_key": COURSE,
        "completion": tally(3.0, 4.0),
        "username": "ana",
        "chapter": [
            {"course_key": COURSE, "block_key": FLIGHT, "completion": tally(2.0, 2.0)},
            {"course_key": COURSE, "block_key": LANDING, "completion": tally(1.0, 2.0)},
        ],
    }


def _of_class(username: str, completion: Value) -> Value:
    return {"course_key": COURSE, "completion": completion, "username": username, "mean": 0.375}


V1_LIST: Final = _page(_ana(_tally))
V1_DETAIL: Final = V1_LIST
V1_BODY: Final = {"requested_fields": ["mean"]}
V1_CLASS: Final = _page(
    _of_class("ana", _tally(3.0, 4.0)),
    _of_class("bob", _tally(1.5, 4.0)),
    _of_class("cleo", {"earned": 0.0, "possible": None, "percent": 0.0}),
)
V1_STATS: Final = {"results": [{"course_key": COURSE, "mean_completion": _tally(1.5, 4.0), "mean": 0.375}]}

V0_LIST: Final = _page(_ana(_tally_v0))
V0_DETAIL: Final = _ana(_tally_v0)
V0_COMPLETION: Final = {"completion": 1.0}
