"""R5: any existing block of any course was completed, also aggregators and excluded blocks, at any value."""

from typing import Any

import pytest
from completion.models import BlockCompletion
from completion.waffle import ENABLE_COMPLETION_TRACKING_SWITCH
from edx_toggles.toggles.testutils import override_waffle_switch
from opaque_keys.edx.keys import CourseKey

from tests.aggregation.builders import KEY, usage
from tests.aggregation.rest_api.school import answer, facts, keys, leave, person, post, small

pytestmark = pytest.mark.django_db

OLD = CourseKey.from_string("Test/Old/Run")
NO_BLOCK = "There is no such block in this course.\n"
NO_KEYS = "There is no such course, or no such block in it.\n"
NO_ENROLLMENT = "You have no active enrollment in this course.\n"
NOT_COMPLETABLE = "Blocks of this type cannot be completed.\n"


@pytest.fixture
def ana() -> Any:
    return person("ana", small(), small(keys(1)[0]), small(OLD))


def update(user: Any, block: Any, value: Any = 1.0, *, key: Any = KEY, **more: Any) -> tuple[int, Any]:
    return answer(post(user, f"v0/course/{key}/blocks/{block}/", {"completion": value, **more}))


def test_r05_a_block_is_created_and_then_exists(ana: Any) -> None:
    assert update(ana, usage("html", "a"), 0.5) == (201, "")
    assert update(ana, usage("html", "a"), "1") == (200, "")
    assert facts() == {("ana", str(usage("html", "a")), 1.0)}


@pytest.mark.parametrize(
    ("block", "refusal"),
    [
        # The same block is in this course too, but that is not the one that was asked for.
        (usage("html", "a", keys(1)[0]), (404, NO_KEYS)),
        ("i4x://Test/Old/html/a", (404, NO_KEYS)),
        ("library-v1:Test+Course", (404, NO_KEYS)),
        ("lb:Test:Library:html:a", (404, NO_KEYS)),
        ("nonsense", (404, NO_KEYS)),
        (usage("html", "unknown"), (404, NO_BLOCK)),
        (usage("html", "A"), (404, NO_BLOCK)),
        (usage("problem", "a"), (404, NO_BLOCK)),
        (usage("course", "course"), (400, NOT_COMPLETABLE)),
        (usage("vertical", "v1"), (400, NOT_COMPLETABLE)),
        (usage("discussion", "x"), (400, NOT_COMPLETABLE)),
    ],
    ids=str,
)
def test_r05_a_block_that_is_no_leaf_of_the_course_is_refused(ana: Any, block: Any, refusal: tuple[int, str]) -> None:
    assert (update(ana, block), facts()) == (refusal, set())


@pytest.mark.parametrize("value", [-0.1, 1.1, None, True, [], {}, "", "all", [1], 1e300, -(10**30)])
def test_r05_a_value_outside_of_its_range_is_refused(ana: Any, value: Any) -> None:
    reason = "The body must be a JSON object with a number from 0 to 1 as its 'completion'.\n"
    assert (update(ana, usage("html", "a"), value), facts()) == ((400, reason), set())


@pytest.mark.parametrize("key", [KEY, "course-v1:No+Such+Course", OLD, f"course-v1:Test+Course+{'1' * 300}"])
def test_r05_who_is_not_enrolled_cannot_tell_whether_the_course_exists(key: Any) -> None:
    small()
    bob = person("bob")
    block = CourseKey.from_string(str(key)).make_usage_key("html", "a")
    assert (update(bob, block, key=key), facts()) == ((404, NO_ENROLLMENT), set())


def test_r05_who_has_left_cannot_complete(ana: Any) -> None:
    leave(ana, KEY)
    assert (update(ana, usage("html", "a")), facts()) == ((404, NO_ENROLLMENT), set())


def test_r05_nobody_completes_for_somebody_else(ana: Any) -> None:
    bob = person("bob", KEY, is_staff=True)
    path = f"v0/course/{KEY}/blocks/{usage('html', 'a')}/?username=ana&user_id={ana.pk}"
    more = {"username": "ana", "user": ana.pk, "user_id": ana.pk}
    assert answer(post(bob, path, {"completion": 1, **more})) == (201, "")
    assert facts() == {("bob", str(usage("html", "a")), 1.0)}


def test_r05_old_keys_get_the_run_filled_in(ana: Any) -> None:
    assert update(ana, "i4x://Test/Old/html/a", key=OLD) == (201, "")
    assert facts() == {("ana", "i4x://Test/Old/html/a", 1.0)}
    assert {row.context_key for row in BlockCompletion.objects.all()} == {OLD}


@override_waffle_switch(ENABLE_COMPLETION_TRACKING_SWITCH, active=False)
def test_r05_a_site_that_does_not_track_completion_says_so(ana: Any) -> None:
    reason = "This site does not track completion: its switch for that is off.\n"
    assert (update(ana, usage("html", "a")), facts()) == ((409, reason), set())
