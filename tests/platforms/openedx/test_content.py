"""What is compiled of the courses of an LMS, when it is compiled again, and what that costs."""

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep
from typing import Any

import lms_counters
import pytest
from common.djangoapps.split_modulestore_django.models import SplitModulestoreCourseIndex
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey
from openedx.core.djangoapps.content.block_structure import api as block_structure_api
from openedx.core.djangoapps.content.block_structure.api import clear_course_from_cache
from openedx.core.djangoapps.content.block_structure.models import BlockStructureModel
from xmodule.modulestore.django import modulestore
from xmodule.partitions.partitions import UserPartition

from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.exceptions import InvalidCourse, InvalidSetting, UnknownCourse
from completion_aggregator.models import AggregatedCourse, CourseContent
from completion_aggregator.platforms.openedx import content
from tests.platforms.openedx.authoring import KEY, Course, author, block, draft, partition
from tests.platforms.openedx.processes import forget

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("new_process")]

OTHER = CourseKey.from_string("course-v1:Org+Other+Run")
LIBRARY = CourseKey.from_string("library-v1:Org+Library")


def reads() -> int:
    count: int = lms_counters.counts["get_course_in_cache"]
    return count


def simple(key: CourseKey = KEY) -> Course:
    return author(block("chapter", "one", block("html", "text", display_name="Text")), key=key)


def ids(key: CourseKey = KEY) -> set[str]:
    return {text.rpartition("@")[2] for text in content.graph(key)[1].keys}


def is_noted(key: CourseKey = KEY) -> bool:
    return AggregatedCourse.objects.filter(course_key=key, changed_at__isnull=False).exists()


def settle() -> None:
    AggregatedCourse.objects.update(changed_at=None)


def age(minutes: float, key: CourseKey = KEY) -> None:
    """Let so much time pass since the course was last edited."""
    edited = timezone.now() - timedelta(minutes=minutes)
    SplitModulestoreCourseIndex.objects.filter(course_id=key).update(last_update=edited)


# --- once per version ----------------------------------------------------------------------------------------------


def test_a_course_is_read_once_whoever_asks_and_however_often() -> None:
    simple()

    versions = set()
    for _ in range(3):
        forget()
        versions |= {content.version(KEY), content.graph(KEY)[0], content.versions([KEY])[KEY]}
        versions.add(content.graphs([KEY])[KEY][0])
        content.renew(KEY)

    assert len(versions) == 1
    assert reads() == 1
    assert lms_counters.counts["get_course_blocks"] == 0


def test_each_new_version_is_read_once() -> None:
    course = simple()
    for name in ("two", "three"):
        content.version(KEY)
        course.add("course", block("chapter", name)).release()
        for _ in range(3):
            forget()
            for key in content.outdated():
                content.renew(key)

    assert ids() == {"course", "one", "text", "two", "three"}
    assert reads() == 3


def test_reading_writes_nothing_that_the_lms_would_write_for_a_learner() -> None:
    author(block("library_content", "bank", block("html", "a"), block("html", "b"), max_count=1))

    with lms_counters.counting() as happened:
        content.graph(KEY)

    assert lms_counters.written(happened) == {}


def test_what_is_compiled_costs_one_query(django_assert_num_queries: Any) -> None:
    simple()
    simple(OTHER)
    content.versions([KEY, OTHER])

    for ask in (content.version, content.graph):
        with django_assert_num_queries(1):
            ask(KEY)
    for ask_many in (content.versions, content.graphs):
        with django_assert_num_queries(1):
            assert set(ask_many([KEY, OTHER])) == {KEY, OTHER}


def test_to_know_what_is_outdated_costs_three_queries_for_all_and_one_for_a_course(
    django_assert_num_queries: Any,
) -> None:
    keys = [CourseKey.from_string(f"course-v1:Org+C{number}+Run") for number in range(5)]
    courses = [simple(key) for key in keys]
    content.versions(keys)
    courses[2].add("course", block("chapter", "new")).release()

    with django_assert_num_queries(3):
        assert content.outdated() == [keys[2]]
    assert content.outdated(keys[1]) == []
    with django_assert_num_queries(1):
        assert content.outdated(keys[1]) == []
    assert content.outdated(keys[2]) == [keys[2]]
    content.renew(keys[2])
    assert content.outdated(keys[2]) == []


def test_what_another_process_has_compiled_is_not_outdated_here() -> None:
    course = simple()
    content.version(KEY)
    assert content.outdated(KEY) == []
    course.add("course", block("chapter", "new")).release()
    known = dict(content._names)
    content.renew(KEY)
    content._names.clear()
    content._names.update(known)

    assert content.outdated(KEY) == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_read_a_course_once(monkeypatch: pytest.MonkeyPatch) -> None:
    simple()
    read = block_structure_api.get_course_in_cache

    def slowly(key: CourseKey) -> Any:
        sleep(0.3)
        return read(key)

    monkeypatch.setattr(block_structure_api, "get_course_in_cache", slowly)

    def work(ask: Any) -> Any:
        try:
            return ask(KEY)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as workers:
        first, second, third = workers.map(work, [content.version, content.renew, content.version])

    assert first == third
    assert second is None
    assert reads() == 1


def test_a_worker_that_died_at_a_course_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    simple()
    monkeypatch.setattr(content, "WAIT", 0.2)
    with content._alone(KEY):
        assert content.version(KEY)

    assert content.version(KEY)


def test_an_error_gives_the_course_back() -> None:
    with pytest.raises(UnknownCourse):
        content.renew(KEY)
    simple()

    with content._alone(KEY):
        pass
    assert not [name for name in cache._cache if "compile" in name]  # type: ignore[attr-defined]  # of the tests' cache


# --- what is newer -------------------------------------------------------------------------------------------------


def test_what_is_published_counts_when_the_lms_has_collected_it() -> None:
    course = simple()
    before = content.version(KEY)
    course.add("course", block("chapter", "new")).publish()

    assert content.outdated() == []
    content.renew(KEY)
    assert content.version(KEY) == before

    course.collect()
    assert content.outdated() == [KEY]
    assert content.version(KEY) == before
    content.renew(KEY)
    assert content.version(KEY) != before
    assert "new" in ids()
    assert lms_counters.counts["collections"] == 2


def test_a_collection_that_the_lms_has_lost_is_made_up_for() -> None:
    course = simple()
    content.version(KEY)
    course.add("course", block("chapter", "new")).publish()

    age(minutes=9)
    assert content.outdated() == []
    age(minutes=11)
    assert content.outdated() == [KEY]
    content.renew(KEY)

    assert "new" in ids()
    assert content.outdated() == []
    assert lms_counters.counts["collections"] == 2


def test_the_lms_is_not_asked_again_for_what_it_would_not_collect(caplog: pytest.LogCaptureFixture) -> None:
    course = simple()
    content.version(KEY)
    # Published by another modulestore than ours, or collected from drafts: the two names never meet.
    SplitModulestoreCourseIndex.objects.update(published_version="f" * 24)
    age(minutes=60)

    assert content.outdated() == [KEY]
    content.renew(KEY)
    assert content.outdated() == []
    content.renew(KEY)
    assert [each.levelname for each in caplog.records if "collecting" in each.message] == ["WARNING"]

    course.add("course", block("chapter", "new")).release()
    assert content.outdated() == [KEY]
    content.renew(KEY)
    assert "new" in ids()


def test_a_collection_that_is_under_way_is_not_taken_for_one_that_was_refused() -> None:
    course = simple()
    content.version(KEY)
    course.add("course", block("chapter", "two")).release()
    course.add("course", block("chapter", "three")).publish()
    content.renew(KEY)

    assert ids() == {"course", "one", "text", "two"}
    age(minutes=11)
    assert content.outdated() == [KEY]


def test_what_was_collected_while_a_course_was_read_does_not_lend_it_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course = simple()
    content.version(KEY)
    course.add("course", block("chapter", "two")).release()
    read = block_structure_api.get_course_in_cache

    def then_released(key: CourseKey) -> Any:
        monkeypatch.undo()
        found = read(key)
        course.add("course", block("chapter", "three")).release()
        return found

    monkeypatch.setattr(block_structure_api, "get_course_in_cache", then_released)
    content.renew(KEY)

    assert "three" in ids()
    assert content.outdated() == []
    assert reads() == 3


def test_a_course_that_is_released_all_the_time_is_outdated_and_not_mislabelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    course = simple()
    content.version(KEY)
    course.add("course", block("chapter", "new")).release()
    read = block_structure_api.get_course_in_cache
    releases = iter("abcdef")

    def then_released(key: CourseKey) -> Any:
        found = read(key)
        course.add("course", block("chapter", next(releases))).release()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(block_structure_api, "get_course_in_cache", then_released)
        content.renew(KEY)

    assert {"new", "a", "b"} <= ids()
    assert content.outdated() == [KEY]
    content.renew(KEY)
    assert content.outdated() == []


def test_a_course_that_the_lms_collects_for_us_is_read_once() -> None:
    draft(block("html", "text")).publish()

    assert ids() == {"course", "text"}
    assert (lms_counters.counts["collections"], reads()) == (1, 1)
    assert content.outdated() == []


def test_what_was_collected_by_other_transformers_is_newer() -> None:
    simple()
    content.version(KEY)
    BlockStructureModel.objects.update(transformers_schema_version="other")

    assert content.outdated() == [KEY]
    content.renew(KEY)
    assert content.outdated() == []


# --- what a change is ----------------------------------------------------------------------------------------------


def test_a_publish_of_what_was_there_before_is_no_change() -> None:
    course = simple()
    before = content.version(KEY)
    settle()
    course.release()

    assert content.outdated() == [KEY]
    content.renew(KEY)
    assert content.version(KEY) == before
    assert not is_noted()
    assert content.outdated() == []


def test_a_change_is_noted_with_the_content_that_brings_it() -> None:
    course = simple()
    before = content.version(KEY)
    assert is_noted()
    settle()
    course.add("one", block("html", "more")).release()
    content.renew(KEY)

    assert content.version(KEY) != before
    assert is_noted()


def test_a_new_title_is_another_content_and_the_same_tree() -> None:
    course = simple()
    version, before = content.graph(KEY)
    course.set("text", display_name="Prose").release()
    content.renew(KEY)
    now, after = content.graph(KEY)

    assert now != version
    assert after.titles != before.titles
    assert after.view(Profile()).digest == before.view(Profile()).digest


# --- what cannot be read -------------------------------------------------------------------------------------------


def test_there_is_no_content_of_what_is_no_course() -> None:
    for key in (KEY, LIBRARY):
        for ask in (content.version, content.graph, content.renew):
            with pytest.raises(UnknownCourse, match=str(key).replace("+", r"\+")):
                ask(key)
    assert content.versions([KEY, LIBRARY]) == {}
    assert content.graphs([KEY, LIBRARY]) == {}
    assert CourseContent.objects.count() == 0


def test_a_course_that_was_deleted_breaks_nothing() -> None:
    simple()
    version = content.version(KEY)
    clear_course_from_cache(KEY)
    modulestore().delete_course(KEY)

    assert content.outdated() == content.outdated(KEY) == []
    content.renew(KEY)
    assert content.version(KEY) == version


def test_a_course_that_cannot_be_compiled_keeps_what_it_was(settings: Any) -> None:
    course = simple()
    before = content.version(KEY)
    course.add("course", block("chapter", "new")).release()
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"course": "excluded"}

    with pytest.raises(InvalidCourse, match=r"block-v1:Org\+Course\+Run\+type@course\+block@course"):
        content.renew(KEY)
    assert content.version(KEY) == before
    assert ids() == {"course", "one", "text"}
    assert content.outdated() == [KEY]


def test_a_course_that_cannot_be_read_is_not_read_again_before_the_lms_has_another(settings: Any) -> None:
    course = simple()
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"course": "excluded"}
    for _ in range(3):
        with pytest.raises(InvalidCourse, match="must be an aggregator"):
            content.version(KEY)
    assert content.versions([KEY]) == {}
    assert reads() == 1

    course.add("course", block("chapter", "new")).release()
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {}
    assert content.version(KEY)
    assert reads() == 2


def test_content_whose_bytes_are_damaged_is_compiled_again() -> None:
    simple()
    version = content.version(KEY)
    CourseContent.objects.update(graph=b"CG1\nrubbish")

    assert content.graph(KEY)[0] == version
    assert content.graphs([KEY])[KEY][0] == version
    assert reads() == 2


def test_a_process_without_block_structures_says_so() -> None:
    simple()
    content.version(KEY)
    without = [name for name in _installed() if not name.endswith(".block_structure")]

    with override_settings(INSTALLED_APPS=without):
        for ask in (content.outdated, lambda: content.renew(KEY)):
            with pytest.raises(InvalidSetting, match="run it in the LMS"):
                ask()


def test_an_lms_that_tells_nothing_of_what_is_published_is_believed() -> None:
    course = simple()
    content.version(KEY)
    course.add("course", block("chapter", "new")).publish()
    age(minutes=60)
    without = [name for name in _installed() if not name.endswith(".split_modulestore_django")]

    with override_settings(INSTALLED_APPS=without):
        assert content.outdated() == []


def _installed() -> list[str]:
    from django.conf import settings

    return list(settings.INSTALLED_APPS)


def test_the_log_tells_what_was_compiled(caplog: pytest.LogCaptureFixture) -> None:
    simple()
    with caplog.at_level(logging.INFO, logger="completion_aggregator.platforms.openedx.content"):
        content.version(KEY)

    (line,) = [each.getMessage() for each in caplog.records if "compiled" in each.getMessage()]
    assert line.startswith(f"compiled course={KEY} version=")
    assert re.search(r" blocks=3 changed=True seconds=\d+\.\d{3}$", line)


# --- types ---------------------------------------------------------------------------------------------------------


def test_aggregators_are_what_their_classes_say_and_the_site_wants(settings: Any) -> None:
    assert {"course", "chapter", "sequential", "vertical", "split_test", "library_content", "itembank"} <= (
        content.aggregator_types()
    )
    assert not {"html", "problem", "video", "discussion"} & content.aggregator_types()

    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"vertical": "completable", "wiki": "aggregator"}
    found = content.aggregator_types()
    assert "wiki" in found
    assert "vertical" not in found


def test_a_mode_that_nobody_knows_is_refused(settings: Any) -> None:
    settings.COMPLETION_AGGREGATOR_COMPLETION_MODES = {"wiki": "often"}

    with pytest.raises(InvalidSetting, match=r"'often'.*completable, aggregator, excluded"):
        content.aggregator_types()


def test_a_process_that_has_never_looked_a_scheme_up_knows_it_by_name(monkeypatch):
    author(block("html", "a", group_access={101: [1]}), partitions=(partition(101, 1, 2, scheme="cohort"),))
    monkeypatch.delattr(UserPartition.get_scheme("cohort"), "name")
    _, graph = content.graph(KEY)
    assert graph.partitions[101].scheme == "cohort"


# --- what is graded ------------------------------------------------------------------------------------------------


def test_what_is_graded_is_what_the_lms_has_collected_for_its_grades() -> None:
    problem = block("problem", "p")
    author(
        block("sequential", "exam", problem, graded=True), block("sequential", "free", block("html", "text")), key=KEY
    )
    assert {key.rpartition("@")[2] for key in content.graded(KEY) or ()} == {"exam", "p"}


def test_nothing_is_known_of_the_grading_of_a_course_that_is_not_collected() -> None:
    simple()
    clear_course_from_cache(KEY)
    BlockStructureModel.objects.all().delete()
    with lms_counters.counting() as happened:
        assert [content.graded(key) for key in (KEY, OTHER, LIBRARY)] == [None, None, None]
    assert happened == {}
