import re
from pathlib import Path

import pytest

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.catalogue import DOCUMENTED, NAMES, entry
from completion_aggregator.tracking.families import url

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tracking-events.md"
FAMILIES = {
    *("account", "assessment", "enrollment", "exam", "forum", "grouping", "library", "navigation", "note", "poll"),
    *("problem", "progress", "staff", "video"),
}

#: Of the names of the reference, those that begin so.
COUNTS = {
    "edx.special_exam.": 38,
    "edx.forum.": 21,
    "edx.team.": 8,
    "edx.course.student_notes.": 7,
    "edx.video.bumper.": 9,
    "edx.certificate.": 6,
    "edx.grades.": 6,
    "edx.drag_and_drop_v2.": 5,
    "edx.ui.lms.": 5,
    "edx.bookmark.": 4,
    "edx.cohort.": 5,
    "edx.course.enrollment.": 4,
    "edx.librarycontentblock.": 2,
    "edx.problem.hint.": 2,
    "openassessment": 11,
    "textbook.pdf.": 13,
}


def test_all_names_of_the_reference_are_known():
    assert len(DOCUMENTED) == 209
    assert {start: sum(name.startswith(start) for name in DOCUMENTED) for start in COUNTS} == COUNTS
    assert DOCUMENTED - NAMES.keys() == set()


def test_every_name_has_a_family_that_there_is():
    assert {known.family for known in NAMES.values()} == FAMILIES


def test_a_known_name_costs_one_look_up_whoever_writes_it():
    assert entry("play_video", "browser") is entry("play_video", "mobile") is NAMES["play_video"]


@pytest.mark.parametrize(
    "name",
    [
        "problem_check",
        "play_video",
        "load_video",
        "page_close",
        "seq_goto",
        "book",
        "problem_graded",
        "edx.completion.block_completion.changed",
        "edx.course.enrollment.activated",
        "edx.forum.thread.viewed",
        "edx.special_exam.timed.attempt.submitted",
        "edx.special_exam.proctored.option-presented",
        "openassessmentblock.peer_assess",
        "rubric_select",
        "edx.done.toggled",
        "/create_account",
    ],
)
def test_acts_of_learners_are_told(name):
    assert entry(name, "server").by_learner


@pytest.mark.parametrize(
    "name",
    [
        "dump-grades",
        "edx.certificate.created",
        "edx.cohort.user_added",
        "edx.grades.course.grade_calculated",
        "edx.instructor.report.downloaded",
        "edx.librarycontentblock.content.assigned",
        "edx.special_exam.proctored.attempt.review_received",
        "edx.special_exam.timed.allowance.created",
        "openassessmentblock.staff_assess",
        "problem_rescore",
        "xmodule.partitions.assigned_user_to_partition",
        "/heartbeat",
    ],
)
def test_what_staff_and_the_platform_do_is_told_from_acts_of_learners(name):
    assert not entry(name, "server").by_learner


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("/dashboard", "url"),
        ("/courses/a/b/c/info", "url"),
        ("edx.forum.thread.summoned", "forum"),
        ("edx.ui.lms.other.selected", "navigation"),
        ("edx.special_exam.practice.attempt.lost", "exam"),
        ("edx.video.dreamt", "video"),
        ("edx.team.renamed", "grouping"),
        ("xblock.poll.changed", "poll"),
        ("xblock.drawing.drawn", "xblock"),
        ("ubc.peer_instruction.compared", "poll"),
        ("edx.newplugin.widget.turned", "other"),
        ("", "other"),
        ("x" * 10_000, "other"),
    ],
)
def test_names_that_nobody_wrote_down_have_a_family_by_their_beginning(name, family):
    assert entry(name, "server").family == family


def test_an_unknown_name_is_an_act_where_a_browser_or_an_app_writes_it():
    assert [entry("plugin.turned", source).by_learner for source in ("browser", "mobile", "server", "task")] == [
        *(True, True),
        *(False, False),
    ]


def test_an_unknown_name_has_its_last_word_as_action():
    assert entry("edx.forum.thread.summoned", "server").action == "summoned"


def test_implicit_events_are_taken_by_their_address():
    assert entry("/anything", "server").transform is url.requested


def test_the_actions_of_videos_and_problems_are_those_that_the_tables_name():
    def told(table: tables.Table) -> set[str]:
        meaning = next(column.meaning for column in table.columns if column.name == "action")
        return set(re.findall(r"`(\w+)`", meaning))

    def used(family: str) -> set[str]:
        known = [each for each in NAMES.values() if each.family == family and each.transform]
        return {each.action for each in known}

    assert used("video") == told(tables.VIDEO)
    assert used("problem") - {"given"} == told(tables.ATTEMPT)  # an item that is dropped is a part, not an attempt
    assert used("enrollment") == told(tables.ENROLLMENT)


def test_the_page_lists_every_name_as_it_is_known():
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (\w*) \| (yes|no) \| (yes|no) \|$", PAGE.read_text(), re.MULTILINE)
    expected = [
        (name, known.family, known.action, yes(known.by_learner), yes(name in DOCUMENTED))
        for name, known in sorted(NAMES.items(), key=lambda item: (item[1].family, item[0]))
    ]
    assert rows == expected


def yes(value: bool) -> str:
    return "yes" if value else "no"
