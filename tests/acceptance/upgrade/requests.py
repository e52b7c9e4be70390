"""What is asked of both versions, and what both are given; imports nothing of either."""

import json
from typing import Any

CHAPTERS, LEARNERS = 1, 6
#: Nothing waits in the first course; in the second, something of the second, third and fourth learner.
SETTLED, WAITING = "X01", "C80"
STAFF = "boss"


def courses(dataset: Any) -> list[Any]:
    """Return both courses."""
    return [dataset.build_course(dataset.course_key(name), chapters=CHAPTERS) for name in (SETTLED, WAITING)]


def questions(dataset: Any) -> list[tuple[str, str]]:
    """Return who asks for what."""
    root, everything = "/completion-aggregator", "requested_fields=chapter,sequential,vertical"
    settled, waiting = (course.key for course in courses(dataset))
    learners = [dataset.username(number) for number in range(1, LEARNERS + 1)]
    asked = [
        (STAFF, f"{root}/v1/course/{settled}/?{everything}"),
        (STAFF, f"{root}/v1/course/{settled}/?requested_fields=mean,username"),
        (STAFF, f"{root}/v1/stats/{settled}/"),
    ]
    for name in learners:
        asked += [
            (STAFF, f"{root}/v1/course/{waiting}/?username={name}&{everything}"),
            (name, f"{root}/v1/course/?username={name}&include_optional=true&{everything}"),
            (name, f"{root}/v0/course/"),
            (name, f"{root}/v0/course/{settled}/?{everything}"),
            (name, f"{root}/v0/course/{waiting}/"),
        ]
    return asked


def answers(dataset: Any) -> str:
    """Return what this version answers, as JSON: for each question, the status and the body."""
    from django.contrib.auth import get_user_model
    from rest_framework.test import APIClient

    found = []
    for name, path in questions(dataset):
        client = APIClient()
        client.force_authenticate(user=get_user_model().objects.get(username=name))
        response = client.get(path)
        found.append([f"{name} {path}", response.status_code, json.loads(response.content)])
    return json.dumps(found)


def ordered(answer: Any) -> Any:
    """Return an answer with its blocks in an order: none is promised."""
    if isinstance(answer, dict):
        return {name: ordered(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return sorted(
            map(ordered, answer), key=lambda each: str(each.get("block_key")) if isinstance(each, dict) else ""
        )
    return round(answer, 12) if isinstance(answer, float) else answer
