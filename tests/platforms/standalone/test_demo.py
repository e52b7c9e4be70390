import pytest
from completion.models import BlockCompletion
from django.core.management import call_command

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.course_graph.blocks import Block, CompletionMode
from completion_aggregator.course_graph.graph import compile_graph
from completion_aggregator.platforms.standalone.demo import behaviour, classroom, report
from completion_aggregator.platforms.standalone.demo.behaviour import TERM_DAYS, TERM_START, Path
from completion_aggregator.platforms.standalone.models import Cohort, Enrollment, GroupAssignment
from completion_aggregator.platforms.standalone.platform import StandalonePlatform
from tests.platforms.standalone.builders import GROUPED, KEY, SHUFFLED, content, course, facts, leaf, learner, usage

SUMMARY = aggregation.CourseSummary(
    course_key=KEY,
    title="A course",
    learners=4,
    mean=0.5,
    blocks=(
        aggregation.BlockSummary("c", "chapter", "A title that is too long for the column, much", 1, 4, 3, 2, 1, 0.5),
    ),
    histogram=(1, 0, 0, 0, 0, 2, 0, 0, 0, 1),
)


@pytest.fixture
def graph():
    found = content(*(leaf(f"b{number:02}", optional=number % 10 == 9) for number in range(40)))
    return compile_graph(found.course_key, found.blocks)


def work_of(graph, number, seed=1):
    path = Path(leaves=range(2, 42), optional=frozenset({11, 21, 31, 41}))
    return list(behaviour.completions(path, graph, behaviour.learner_random(seed, number, "work")))


def test_a_learner_works_forward_within_the_term_and_does_nothing_twice(graph):
    for number in range(200):
        done = work_of(graph, number)
        moments = [moment for _, _, moment in done]
        assert moments == sorted(set(moments))
        assert all(0 <= (moment - TERM_START).days <= TERM_DAYS for moment in moments)
        assert len({block for block, _, _ in done}) == len(done)
        assert all(0 < completion <= 1 for _, completion, _ in done)


def test_a_seed_decides_everything(graph):
    first = [work_of(graph, number) for number in range(50)]
    assert first == [work_of(graph, number) for number in range(50)]
    assert first != [work_of(graph, number, seed=2) for number in range(50)]


def test_learners_differ_some_drop_out_and_some_finish(graph):
    done = [len(work_of(graph, number)) / 36 for number in range(400)]
    assert sum(share == 0 for share in done) > 20
    assert sum(0 < share < 0.4 for share in done) > 60
    assert sum(share > 0.9 for share in done) > 40


def test_blocks_that_a_bank_did_not_draw_are_left_alone():
    names = [f"b{number}" for number in range(10)]
    bank = Block(
        key=usage("itembank", "bank"),
        type="itembank",
        mode=CompletionMode.AGGREGATOR,
        children=tuple(usage("html", name) for name in names),
        bank_size=3,
    )
    found = content(bank)
    graph = compile_graph(found.course_key, [*found.blocks, *map(leaf, names)])
    leaves = [number for number, kind in enumerate(graph.types) if kind == "html"]
    path = Path(leaves=leaves, optional=frozenset())
    everybody = [behaviour.completions(path, graph, behaviour.learner_random(1, each, "work")) for each in range(100)]
    assert max(len(list(done)) for done in everybody) == 3


def test_the_document_order_is_that_of_a_reader():
    assert dict(classroom.document_order(((1, 4), (2, 3), (), (4,), ()))) == {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}


def test_the_summary_is_aligned_plain_text():
    assert list(report.course_lines(SUMMARY, bar="#")) == [
        "A course: 4 learners",
        "",
        "SECTION                                  started      half  finished      mean",
        "A title that is too long for the col…          3         2         1     50.0%",
        "",
        "LEARNERS BY PROGRESS                              mean of the course     50.0%",
        "  0 -  10 %  ################                         1   25.0%",
        *(f" {low} - {low + 10:>3} %{' ' * 43}0    0.0%" for low in range(10, 50, 10)),
        " 50 -  60 %  ################################         2   50.0%",
        *(f" {low} - {low + 10:>3} %{' ' * 43}0    0.0%" for low in range(60, 90, 10)),
        " 90 - 100 %  ################                         1   25.0%",
    ]


def test_timings_are_aligned_too():
    lines = report.timing_lines([report.Timing("Do", 2.0, 1000, "learners"), report.Timing("Ask", 0.004)])
    assert list(lines) == [
        "Do                                            1,000 learners    2.00 s              500 learners/s",
        "Ask                                                             0.00 s",
    ]


@pytest.mark.django_db
def test_learners_get_cohorts_and_groups_and_keep_them():
    small = course(
        leaf("a", group_access={100: frozenset({1})}),
        leaf("b", group_access={200: frozenset({2})}),
        partitions=(GROUPED, SHUFFLED),
    )
    _, graph = StandalonePlatform().course_graph(KEY)
    users = [learner(f"learner{number}").pk for number in range(40)]
    for _ in range(2):
        classroom.place(small, graph, users, seed=1)
    assert set(Cohort.objects.values_list("partition_id", "group_id")) == {(100, 1), (100, 2)}
    assert set(GroupAssignment.objects.values_list("partition_id", "group_id")) == {(200, 1), (200, 2)}
    assert 30 <= GroupAssignment.objects.count() <= 40


@pytest.mark.django_db
def test_the_demo_runs_through_and_again_changes_nothing(tmp_path, capsys):
    call_command("demo", "--learners", "30", "--folder", str(tmp_path))
    output = capsys.readouterr().out
    for line in ("SECTION", "LEARNERS BY PROGRESS", "Import their completions", "What to try next"):
        assert f"\n{line}" in output
    before = list(BlockCompletion.objects.order_by("id").values())
    assert before
    assert aggregation.status().waiting == 0
    call_command("demo", "--learners", "30", "--folder", str(tmp_path))
    assert "Completions:" in capsys.readouterr().out
    assert list(BlockCompletion.objects.order_by("id").values()) == before


@pytest.mark.django_db
def test_more_learners_leave_the_others_as_they_are(tmp_path):
    call_command("demo", "--learners", "10", "--folder", str(tmp_path))
    before = facts()
    call_command("demo", "--learners", "20", "--folder", str(tmp_path))
    after = facts()
    assert Enrollment.objects.count() == 20
    assert {key: value for key, value in after.items() if key in before} == before


@pytest.mark.django_db
def test_a_course_that_has_not_opened_is_said_to_be_closed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("completion_aggregator.platforms.standalone.demo.work.LAST_DAY", TERM_START.replace(year=1971))
    call_command("demo", "--learners", "5", "--folder", str(tmp_path))
    assert "AGGREGATE_UNRELEASED_BLOCKS=true" in capsys.readouterr().out
