"""The REST requests that are measured, the same on both sides; nothing of either is imported here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any, Final

from benchmarks.cost import Result, measured

#: Courses that the first learner takes.
COURSES: Final = 20
STAFF: Final = "boss"
_ALL: Final = "requested_fields=chapter,sequential,vertical"
_SECONDS, _LEAST, _MOST = 5, 5, 60  # how long, and how often, a request is repeated


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for what; ``small``: the least that brings imports and caches about."""

    username: str
    path: str
    small: str


def requests_of(course_key: str, learner: str) -> dict[str, Request]:
    """Return the request of each work, for a course and its first learner."""
    root = "/completion-aggregator/v1"
    course, mine = f"{root}/course/{course_key}/?{_ALL}", f"{root}/course/?username={learner}&{_ALL}"
    stats = f"{root}/stats/{course_key}/"
    return {
        "staff_page_100": Request(STAFF, f"{course}&page_size=100", f"{course}&page_size=1"),
        "list_20": Request(learner, f"{mine}&page_size=100", f"{mine}&page_size=1"),
        "stats": Request(STAFF, stats, stats),
    }


def measure(request: Request, body: Path) -> Result:
    """Return medians of the request repeated, and by how much it lets memory grow at first; write what it answers."""
    client = _client(request)
    client.get(request.small)
    first = Result()
    with measured(first):
        response = client.get(request.path)
        content = response.content
    assert response.status_code == 200, content
    body.write_bytes(content)
    del response, content
    return repeated(client, request) | {"memory_mb": first.get("memory_mb"), "bytes": body.stat().st_size}


def repeated(client: Any, request: Request) -> Result:
    """Return the medians of CPU, time and statements of the request with this client."""
    costs = list(_costs(client, request.path))
    return {name: median(each[name] for each in costs) for name in ("cpu_s", "wall_s", "queries")}


def _costs(client: Any, path: str) -> Iterator[Result]:
    began, count = monotonic(), 0
    while count < _LEAST or (count < _MOST and monotonic() - began < _SECONDS):
        cost = Result()
        with measured(cost):
            client.get(path)
        yield cost
        count += 1


def _client(request: Request) -> Any:
    from django.contrib.auth import get_user_model
    from rest_framework.test import APIClient

    client = APIClient()
    client.force_authenticate(user=get_user_model()._default_manager.get(username=request.username))
    return client


def difference(theirs: bytes, ours: bytes) -> str | None:
    """Return where two answers first differ; None if they say the same.

    Keys and lists of blocks have no order that is promised, and a mean is equal within 1e-9.
    """
    return _difference(json.loads(theirs), json.loads(ours), "$")


def _difference(theirs: Any, ours: Any, at: str) -> str | None:
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        pairs = [(theirs[name], ours[name], f"{at}.{name}") for name in theirs]
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        both = zip(_sorted(theirs), _sorted(ours), strict=True)
        pairs = [(one, other, f"{at}[{nth}]") for nth, (one, other) in enumerate(both)]
    else:
        return None if _equal(theirs, ours, at) else f"{at}: {theirs!r:.200} and {ours!r:.200}"
    return next(filter(None, (_difference(*pair) for pair in pairs)), None)


def _equal(theirs: Any, ours: Any, at: str) -> bool:
    if type(theirs) is not type(ours) or isinstance(theirs, dict | list):
        return False
    return isclose(theirs, ours, rel_tol=1e-9) if isinstance(theirs, float) and ".mean" in at else bool(theirs == ours)


def _sorted(found: list[Any]) -> list[Any]:
    blocks = all(isinstance(each, dict) and "block_key" in each for each in found)
    return sorted(found, key=lambda each: str(each["block_key"])) if blocks else found
