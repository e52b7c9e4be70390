"""Where a rule is unknown to us, trees are those of the LMS."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import lms_counters
import pytest
from django.utils import timezone
from lms.djangoapps.course_blocks import api as course_blocks_api
from openedx.core.djangoapps.content.block_structure.transformer import (
    BlockStructureTransformer,
    FilteringTransformerMixin,
)
from openedx.core.djangoapps.user_api.partition_schemes import RandomUserPartitionScheme
from xmodule.partitions.partitions import Group

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.course_graph.graph import CourseGraph
from completion_aggregator.course_graph.visibility import Profile
from completion_aggregator.platforms.openedx import content, exact
from completion_aggregator.platforms.openedx.platform import OpenEdxPlatform
from completion_aggregator.ports import Sight
from tests.platforms.openedx.authoring import KEY, author, block, partition, scheme, transformer
from tests.platforms.openedx.people import enroll, learner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("new_process")]

PLATFORM = OpenEdxPlatform()


class OddUsersSeeNoVideos(FilteringTransformerMixin):
    """A rule of a site of its own."""

    WRITE_VERSION = READ_VERSION = 1

    @classmethod
    def name(cls) -> str:
        return "odd_users_see_no_videos"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        pass

    def transform_block_filters(self, usage_info: Any, block_structure: Any) -> list[Any]:
        odd = usage_info.user.username.startswith("odd")
        return [block_structure.create_removal_filter(lambda key: odd and key.block_type == "video")]


class Upwards(BlockStructureTransformer):
    """Another one, that puts the last block above all others and brings one that is new."""

    WRITE_VERSION = READ_VERSION = 1

    @classmethod
    def name(cls) -> str:
        return "upwards"

    @classmethod
    def collect(cls, block_structure: Any) -> None:
        pass

    def transform(self, usage_info: Any, block_structure: Any) -> None:
        root = block_structure.root_block_usage_key
        last, first = KEY.make_usage_key("chapter", "last"), KEY.make_usage_key("chapter", "first")
        block_structure._block_relations[root].children.remove(first)
        block_structure._block_relations[first].parents.remove(root)
        block_structure._add_relation(last, first)
        block_structure._add_relation(last, KEY.make_usage_key("html", "new"))


@contextmanager
def installed(monkeypatch: pytest.MonkeyPatch, found: type) -> Iterator[None]:
    """Have a transformer decide what users see, as a site does that patches its LMS."""
    usual = course_blocks_api.get_course_block_access_transformers
    with transformer(found), monkeypatch.context() as patched:
        patched.setattr(course_blocks_api, "get_course_block_access_transformers", lambda user: [*usual(user), found()])
        yield


@pytest.fixture
def odd_rule(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with installed(monkeypatch, OddUsersSeeNoVideos):
        yield


def seen(graph: CourseGraph, sight: Sight) -> set[str]:
    view = graph.view(sight.profile)
    return {graph.keys[n].rpartition("@")[2] for n in (*view.leaves.tolist(), *view.aggregators.tolist())}


def films() -> CourseGraph:
    author(block("chapter", "one", block("video", "film"), block("html", "text")), block("video", "other"))
    return content.graph(KEY)[1]


def test_where_all_is_known_there_is_no_reason(django_assert_num_queries: Any) -> None:
    author(block("html", "text", group_access={100: [1]}), partitions=(partition(100, 1, 2, scheme="cohort"),))
    graph = content.graph(KEY)[1]

    with django_assert_num_queries(0):
        assert exact.unknown_rules(KEY, graph) == ""


def test_an_unknown_transformer_has_the_lms_asked_and_is_told_of_once(
    odd_rule: None, caplog: pytest.LogCaptureFixture, django_assert_num_queries: Any
) -> None:
    graph = films()

    for _ in range(3):
        with django_assert_num_queries(0):
            assert exact.unknown_rules(KEY, graph) == "unknown transformers odd_users_see_no_videos"
        graph = CourseGraph.from_bytes(graph.to_bytes())  # as it is read again
    assert [each.getMessage() for each in caplog.records if each.name == exact.__name__] == [
        f"asking the LMS for the tree of each learner course={KEY}: unknown transformers odd_users_see_no_videos"
    ]


class Odd:
    """A scheme of partitions of a site of its own."""

    @classmethod
    def get_group_for_user(cls, course_key: Any, user: Any, user_partition: Any) -> Group:
        found: Group = user_partition.get_group(1 if user.username.startswith("odd") else 2)
        return found


class Second(RandomUserPartitionScheme):
    """A scheme made out of one that we know, with a rule of its own."""

    @classmethod
    def get_group_for_user(cls, course_key: Any, user: Any, user_partition: Any, assign: bool = True) -> Group:
        found: Group = user_partition.get_group(2)
        return found


def test_a_scheme_made_out_of_a_known_one_is_unknown_to_whoever_never_looked_it_up() -> None:
    with scheme("second", Second):
        second = partition(100, 1, 2, scheme="second")
        author(
            block("html", "a", group_access={100: [1]}),
            block("html", "b", group_access={100: [2]}),
            partitions=[second],
        )
        del Second.name  # another process than that which has collected the course
        graph = content.graph(KEY)[1]
        ann = enroll(learner("ann"), KEY).user_id

        assert exact.unknown_rules(KEY, graph) == f"partitions of unknown schemes {Second}"
        assert seen(graph, PLATFORM.visit(KEY, graph, [ann], now=timezone.now())[ann]) == {"course", "b"}


def test_a_partition_of_an_unknown_scheme_has_the_lms_asked_where_it_matters() -> None:
    with scheme("odd", Odd):
        divided = partition(100, 1, 2, scheme="odd")
        author(block("html", "a", group_access={100: [1]}), block("html", "b"), partitions=(divided,))
        graph = content.graph(KEY)[1]
        odd, even = enroll(learner("odd"), KEY).user_id, enroll(learner("even"), KEY).user_id
        known = PLATFORM.sights(KEY, graph, [odd], now=timezone.now())
        sights = PLATFORM.visit(KEY, graph, [odd, even], now=timezone.now())

        assert exact.unknown_rules(KEY, graph) == "partitions of unknown schemes odd"
        assert seen(graph, known[odd]) == {"course", "b"}
        assert [seen(graph, sights[each]) for each in (odd, even)] == [{"course", "a", "b"}, {"course", "b"}]

        author(block("html", "a"), partitions=(divided,))
        content.renew(KEY)
        assert exact.unknown_rules(KEY, content.graph(KEY)[1]) == ""


def test_the_tree_is_that_of_the_lms(odd_rule: None) -> None:
    graph, now = films(), timezone.now()
    odd, even = learner("odd").pk, learner("even").pk
    sights = PLATFORM.visit(KEY, graph, [odd, even], now=now)

    assert PLATFORM.asks_one_by_one(KEY, graph)
    assert [seen(graph, sights[each]) for each in (odd, even)] == [
        {"course", "one", "text"},
        {"course", "one", "film", "text", "other"},
    ]
    assert {each.valid_until for each in sights.values()} == {now + timedelta(hours=1)}
    assert sights[odd].profile != sights[even].profile
    assert sights[odd].profile.digest != sights[even].profile.digest


def test_whoever_reads_visits_nobody_and_writes_nothing(odd_rule: None) -> None:
    author(block("library_content", "bank", *(block("html", f"p{n}") for n in range(5)), max_count=2))
    odd = enroll(learner("odd"), KEY).user_id

    with lms_counters.counting() as happened:
        aggregation.live_standing(odd, KEY)
        aggregation.live_courses(odd, [KEY])
        aggregation.standings_of_class(KEY, [odd])
        aggregation.course_summary(KEY)
    assert (happened["selection_writes"], happened["get_course_blocks"]) == (0, 0)


def test_learners_of_one_exact_tree_share_a_profile_and_its_view(odd_rule: None) -> None:
    graph, now = films(), timezone.now()
    first, second = learner("odd1").pk, learner("odd2").pk
    sights = PLATFORM.visit(KEY, graph, [first, second], now=now)

    assert sights[first].profile == sights[second].profile
    assert graph.view(sights[first].profile) is graph.view(sights[second].profile)


def test_an_exact_tree_like_the_usual_one_is_the_same_view(odd_rule: None) -> None:
    graph = films()
    even = learner("even").pk

    assert graph.view(exact.sight(KEY, graph, even, now=timezone.now()).profile).digest == (
        graph.view(graph.rules.profile(now=timezone.now())[0]).digest
    )


def test_draws_are_those_that_the_lms_has_just_made(odd_rule: None) -> None:
    author(block("library_content", "bank", *(block("html", f"p{n}") for n in range(5)), max_count=2))
    graph = content.graph(KEY)[1]
    with lms_counters.counting() as happened:
        sight = exact.sight(KEY, graph, learner("even").pk, now=timezone.now())

    assert happened["selection_writes"] == 1
    ((bank, drawn),) = sight.selections.items()
    assert bank == str(KEY.make_usage_key("library_content", "bank"))
    assert {key.rpartition("@")[2] for key in drawn} == seen(graph, sight) - {"course", "bank"}
    assert len(drawn) == 2


def test_dates_to_come_count_where_the_site_wants_them(odd_rule: None, settings: Any) -> None:
    author(block("html", "later", start=timezone.now() + timedelta(days=9)), block("html", "now"))
    graph, user_id = content.graph(KEY)[1], learner("even").pk

    assert seen(graph, exact.sight(KEY, graph, user_id, now=timezone.now())) == {"course", "now"}
    settings.COMPLETION_AGGREGATOR_AGGREGATE_UNRELEASED_BLOCKS = True
    assert seen(graph, exact.sight(KEY, graph, user_id, now=timezone.now())) == {"course", "now", "later"}


def test_who_is_gone_and_who_is_shut_out_sees_nothing(odd_rule: None) -> None:
    author(block("html", "text"), start=timezone.now() + timedelta(days=9))
    graph = content.graph(KEY)[1]

    for user_id in (learner("even").pk, 10**6):
        assert seen(graph, exact.sight(KEY, graph, user_id, now=timezone.now())) == {"course"}


def test_what_a_transformer_puts_elsewhere_or_invents_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    author(block("chapter", "first", block("html", "a")), block("chapter", "last", block("html", "b")))
    graph, user_id = content.graph(KEY)[1], learner("even").pk

    with installed(monkeypatch, Upwards):
        assert seen(graph, exact.sight(KEY, graph, user_id, now=timezone.now())) == {"course", "last", "b"}


def test_the_course_was_edited_since_it_was_compiled(odd_rule: None) -> None:
    graph, user_id = films(), learner("even").pk
    author(block("chapter", "one", block("html", "text"), block("html", "more")))

    assert seen(graph, exact.sight(KEY, graph, user_id, now=timezone.now())) == {"course", "one", "text"}


def test_usual_profiles_stay_as_they_were() -> None:
    assert repr(Profile()) == "Profile(staff=False, beta=False, released=0, groups=(), messaging=())"
    assert Profile().digest != Profile(tree=()).digest != Profile(tree=((),)).digest
    assert hash(Profile(tree=((1,), ()))) == hash(Profile(tree=((1,), ())))
