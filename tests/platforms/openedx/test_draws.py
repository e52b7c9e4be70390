import json

import pytest
from lms.djangoapps.courseware.models import StudentModule

from completion_aggregator.platforms.openedx import draws
from tests.course_graph.builders import bank, course, leaf
from tests.platforms.openedx.graphs import KEY, OTHER, bank_key, banked, problems
from tests.platforms.openedx.people import draw, learner

pytestmark = pytest.mark.django_db

BANK = str(bank_key())


def texts(keys):
    return tuple(map(str, keys))


def stored(user, state, key=None):
    """A row of the LMS with this state."""
    return StudentModule.objects.create(
        student=user, module_state_key=key or bank_key(), course_id=KEY, module_type="library_content", state=state
    )


def drawn(user, graph):
    return draws.of_learners(KEY, graph, [user.pk]).get(user.pk)


def test_a_draw_keeps_its_order():
    ann, keys = learner("ann"), problems(4)
    draw(ann, bank_key(), [keys[2], keys[0]])
    assert drawn(ann, banked(2, 4)) == {BANK: texts([keys[2], keys[0]])}


def test_who_never_came_there_has_drawn_nothing():
    assert drawn(learner("ann"), banked(2, 4)) is None


def test_of_too_many_the_first_are_kept():
    ann, keys = learner("ann"), problems(4)
    draw(ann, bank_key(), [keys[3], keys[1], keys[2]])
    assert drawn(ann, banked(2, 4)) == {BANK: texts([keys[3], keys[1]])}


def test_too_few_stay_too_few():
    ann, keys = learner("ann"), problems(4)
    draw(ann, bank_key(), [keys[3]])
    assert drawn(ann, banked(2, 4)) == {BANK: texts([keys[3]])}


def test_what_has_left_the_bank_counts_for_nothing_and_takes_no_place():
    ann, keys = learner("ann"), problems(6)
    gone = KEY.make_usage_key("html", "p0")
    draw(ann, bank_key(), [keys[5], gone, keys[1], keys[1], keys[0]])
    assert drawn(ann, banked(2, 4)) == {BANK: texts([keys[1], keys[0]])}


def test_a_draw_of_nothing_is_a_draw():
    ann = learner("ann")
    draw(ann, bank_key(), [])
    assert drawn(ann, banked(2, 4)) == {BANK: ()}


@pytest.mark.parametrize(
    "state",
    [
        None, "", "{", "null", "[]", "7", "{}", '{"selected": null}', '{"selected": 3}', '{"selected": "ab"}',
        '{"selected": [null]}', '{"selected": [["problem"]]}', '{"selected": [["problem", ["p1"]]]}',
        '{"selected": [{"a": 1, "b": 2}, ["problem", {}]]}', '{"max_count": 2}',
    ],
)  # fmt: skip
def test_a_state_that_cannot_be_read_is_no_draw(state):
    ann, ben = learner("ann"), learner("ben")
    stored(ann, state)
    draw(ben, bank_key(), problems(1))
    assert draws.of_learners(KEY, banked(2, 4), [ann.pk, ben.pk]) == {ben.pk: {BANK: texts(problems(1))}}


def test_both_types_of_banks_are_read():
    ann, keys = learner("ann"), problems(4)
    other = KEY.make_usage_key("itembank", "other")
    graph = course(bank(BANK, 1, *map(leaf, texts(keys[:2]))), bank(str(other), 1, *map(leaf, texts(keys[2:]))))
    draw(ann, bank_key(), keys[:1])
    draw(ann, other, keys[3:])
    assert drawn(ann, graph) == {BANK: texts(keys[:1]), str(other): texts(keys[3:])}


@pytest.mark.parametrize("size", [-1, 4, 5])
def test_a_bank_that_shows_all_its_children_is_not_asked(size, django_assert_num_queries):
    ann = learner("ann")
    draw(ann, bank_key(), problems(1))
    with django_assert_num_queries(0):
        assert drawn(ann, banked(size, 4)) is None


def test_a_bank_that_draws_none_has_drawn_none():
    ann = learner("ann")
    draw(ann, bank_key(), problems(1))
    assert drawn(ann, banked(0, 4)) == {BANK: ()}


def test_a_key_in_other_letters_is_another_bank():
    ann = learner("ann")
    stored(ann, json.dumps({"selected": [["problem", "p1"]]}), key=KEY.make_usage_key("library_content", "BANK"))
    assert drawn(ann, banked(2, 4)) is None


@pytest.mark.parametrize(("learners", "queries"), [(1, 1), (500, 1), (501, 2)])
def test_states_are_read_for_500_learners_at_a_time(learners, queries, django_assert_num_queries):
    with django_assert_num_queries(queries):
        assert draws.of_learners(KEY, banked(2, 4), range(1, learners + 1)) == {}


def test_one_learner_in_many_courses_is_one_query(django_assert_num_queries):
    ann = learner("ann")
    for key in (KEY, OTHER):
        draw(ann, bank_key(course_key=key), problems(2, key))
    graphs = {key: banked(2, 4, key) for key in (KEY, OTHER)}
    with django_assert_num_queries(1):
        found = draws.of_learner(ann.pk, graphs)
    assert found == {key: {str(bank_key(course_key=key)): texts(problems(2, key))} for key in (KEY, OTHER)}
