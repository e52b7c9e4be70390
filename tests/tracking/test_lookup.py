import pytest

from completion_aggregator.tracking.lookup import Answer, Found, NotRefreshed, lookup
from completion_aggregator.tracking.refresh import ParquetTarget
from completion_aggregator.tracking.refresh.summary import Account
from completion_aggregator.tracking.refresh.tables import BLOCK, COURSE

HEX, VIDEO, OLD = "9d251397874d4f0b947b606c81ccf83c", "0b9e39477cf34507a7a48f74be381fdd", "a" * 32
FIRST, RERUN = "course-v1:O+C+2023", "course-v1:O+C+2024"


def key(course, kind, block):
    return f"block-v1:{course.removeprefix('course-v1:')}+type@{kind}+block@{block}"


def found(course, kind, block, name, path):
    return Found(key(course, kind, block), kind, name, course, path)


PROBLEM_1 = found(FIRST, "problem", HEX, "Quiz", "Week 1 / Quiz")
PROBLEM_2 = found(RERUN, "problem", HEX, "Quiz", "Week 2 / Quiz")
VIDEO_1 = found(FIRST, "video", VIDEO, None, "Week 1 / video")
WEEK_1 = found(FIRST, "chapter", "week_1", "Week 1", "Week 1")
OLD_1 = Found(f"i4x://O/C/problem/{OLD}", "problem", "Old", "O/C/2012", "Old")
COURSE_1, COURSE_2 = Found(FIRST, "course", "First", FIRST), Found(RERUN, "course", None, RERUN)


@pytest.fixture
def folder(tmp_path):
    target = ParquetTarget(tmp_path / "tables", tmp_path / "private")
    account = Account("courses", target)
    blocks = (PROBLEM_1, PROBLEM_2, VIDEO_1, WEEK_1, OLD_1)
    nothing = (None,) * 4
    account.write(BLOCK, [(b.course, b.id, b.type, b.name, *nothing, b.path, *nothing, None, 0) for b in blocks])
    account.write(COURSE, [(c.id, "O", "C", "R", c.name, "v", 1, None) for c in (COURSE_1, COURSE_2)])
    return target.tables_folder


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (HEX, (PROBLEM_1, PROBLEM_2)),
        (f"{HEX}_2_1", (PROBLEM_1, PROBLEM_2)),
        (f"input_{HEX}_12_1", (PROBLEM_1, PROBLEM_2)),
        (f"i4x-O-C-problem-{HEX}_2_1", (PROBLEM_1, PROBLEM_2)),
        (VIDEO, (VIDEO_1,)),
        (f"video_{VIDEO}", (VIDEO_1,)),
        (PROBLEM_2.id, (PROBLEM_2,)),
        (f"{PROBLEM_2.id}_2_1", (PROBLEM_2,)),
        (f"/courses/{RERUN}/xblock/{PROBLEM_2.id}/handler/xmodule_handler/problem_check", (PROBLEM_2,)),
        (f"https://lms.example.com/courses/{RERUN}/jump_to/{PROBLEM_2.id}?x=1".replace("+", "%2B"), (PROBLEM_2,)),
        (f"{HEX} of {RERUN}", (PROBLEM_2,)),
        (f"{HEX} of course-v1:O+C+none", (PROBLEM_1, PROBLEM_2)),
        (f"{HEX},{VIDEO}", (VIDEO_1, PROBLEM_1, PROBLEM_2)),
        ("week_1", (WEEK_1,)),
        (WEEK_1.id, (WEEK_1,)),
        (OLD_1.id, (OLD_1,)),
        (OLD, (OLD_1,)),
        (FIRST, (COURSE_1,)),
        (f"/courses/{RERUN}/progress", (COURSE_2,)),
        ("b" * 32, ()),
        (f"{HEX}0", ()),
        ("course-v1:O+C+none", ()),
        ("no id at all", ()),
        ("", ()),
        ("x" * 100_000, ()),
    ],
)
def test_a_text_stands_for_the_blocks_or_courses_that_it_names(folder, asked, answer):
    assert lookup([asked], folder) == [Answer(asked, answer)]


def test_answers_come_in_the_order_of_the_questions(folder):
    asked = ["week_1", "b" * 32, FIRST, VIDEO]
    assert [answer.asked for answer in lookup(asked, folder)] == asked
    assert lookup([], folder) == []


def test_without_the_tables_the_remedy_is_said(folder, tmp_path):
    with pytest.raises(NotRefreshed, match=r"there is no .*block\.parquet: `tracking refresh courses` makes it"):
        lookup([HEX], tmp_path)
    (folder / "block.parquet").write_bytes(b"not a table")
    with pytest.raises(NotRefreshed, match=r"block\.parquet cannot be read .* makes it anew"):
        lookup([HEX], folder)
