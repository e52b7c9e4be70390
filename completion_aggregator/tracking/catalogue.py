"""The names of events: what family each is of, and which function takes its payload apart.

`docs/reference/tracking-events.md` is made from it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from completion_aggregator.tracking.batch import Direct, Transform
from completion_aggregator.tracking.families import (
    account,
    assessment,
    enrollment,
    forum,
    grouping,
    navigation,
    problem,
    progress,
    untabled,
    url,
    video,
)
from completion_aggregator.tracking.families.documented import DOCUMENTED
from completion_aggregator.tracking.values import words

__all__ = ["DOCUMENTED", "NAMES", "Entry", "entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a name: ``action`` is handed to ``transform``, which is None where there is nothing to take.

    ``by_learner``: a learner's own act made it, in the browser, in the app, or on the server in answer to it.
    ``direct`` takes payloads that are texts of the usual form, the same way and faster.
    """

    family: str
    action: str
    transform: Transform | None
    by_learner: bool
    direct: Direct | None = None


def entry(name: str, source: str) -> Entry:
    """Return what is known of a name, or what its beginning tells: one look-up for names that are known."""
    found = NAMES.get(name)
    if found is not None:
        return found
    if name.startswith("/"):
        return _URL
    return _unknown(name, source) if len(name) <= _LONGEST else _OTHER


@lru_cache(maxsize=4096)
def _unknown(name: str, source: str) -> Entry:
    by_learner = source in _OF_LEARNERS
    for beginning, family, transform, is_act in _BEGINNINGS:
        if name.startswith(beginning):
            return Entry(family, name.rpartition(".")[2], transform, by_learner or is_act)
    return Entry("other", "", None, by_learner)


def _is_act(name: str, family: str) -> bool:
    return name not in _NOT_ACTS and (family not in _BACKGROUND or name in _ACTS)


_LONGEST: Final = 200
_OF_LEARNERS: Final = frozenset({"browser", "mobile"})
_URL: Final = Entry("url", "", url.requested, by_learner=False, direct=url.requested_so)
_OTHER: Final = Entry("other", "", None, by_learner=False)

#: Families of which the events come from the platform or from staff, but for these,
_BACKGROUND: Final = frozenset({"progress", "grouping", "library", "staff"})
_ACTS: Final = frozenset(
    words(
        "edx.badge.assertion.shared edx.certificate.shared edx.completion.block_completion.changed edx.done.toggled"
        " edx.grades.problem.submitted edx.team.activity_updated edx.team.changed edx.team.created"
        " edx.team.learner_added edx.team.page_viewed edx.team.searched"
    )
)
#: and those that are not a learner's in the other families.
_NOT_ACTS: Final = frozenset(
    words(
        "edx.special_exam.practice.allowance.created edx.special_exam.practice.allowance.deleted"
        " edx.special_exam.practice.attempt.deleted edx.special_exam.practice.attempt.error"
        " edx.special_exam.practice.created edx.special_exam.practice.updated"
        " edx.special_exam.proctored.allowance.created edx.special_exam.proctored.allowance.deleted"
        " edx.special_exam.proctored.attempt.deleted edx.special_exam.proctored.attempt.error"
        " edx.special_exam.proctored.attempt.rejected edx.special_exam.proctored.attempt.review_received"
        " edx.special_exam.proctored.attempt.verified edx.special_exam.proctored.created"
        " edx.special_exam.proctored.updated edx.special_exam.timed.allowance.created"
        " edx.special_exam.timed.allowance.deleted edx.special_exam.timed.attempt.deleted"
        " edx.special_exam.timed.created edx.special_exam.timed.updated"
        " openassessment.get_submission_for_staff_grading openassessment.staff_assess"
        " openassessmentblock.get_submission_for_staff_grading openassessmentblock.staff_assess"
        " problem_rescore problem_rescore_fail"
    )
)

#: Of names that nobody wrote down: how they begin, the family, what takes them, whether a learner's act makes them
#: also where the server writes them. The first that fits; the action is the last word of the name.
_BEGINNINGS: Final[tuple[tuple[str, str, Transform | None, bool], ...]] = (
    ("edx.video.", "video", None, True),
    ("edx.forum.", "forum", forum.posted, True),
    ("openassessmentblock.", "assessment", assessment.looked, True),
    ("openassessment.", "assessment", assessment.looked, True),
    ("edx.drag_and_drop_v2.", "problem", None, True),
    ("edx.problem.", "problem", None, True),
    ("problem_", "problem", None, True),
    ("edx.ui.lms.", "navigation", navigation.selected, True),
    ("textbook.", "navigation", navigation.read, True),
    ("edx.bookmark.", "navigation", navigation.marked, True),
    ("edx.course.home.", "navigation", navigation.selected, True),
    ("edx.course.enrollment.", "enrollment", None, True),
    ("edx.course.student_notes.", "note", untabled.noted, True),
    ("edx.special_exam.", "exam", untabled.examined, False),
    ("edx.librarycontentblock.", "library", untabled.drawn, False),
    ("edx.cohort.", "grouping", None, False),
    ("edx.team.", "grouping", None, True),
    ("xmodule.partitions.", "grouping", None, False),
    ("xblock.split_test.", "grouping", None, False),
    ("edx.completion.", "progress", None, True),
    ("edx.grades.", "progress", None, False),
    ("edx.course.grade.", "progress", None, False),
    ("edx.certificate.", "progress", progress.shared, False),
    ("edx.badge.", "progress", progress.shared, False),
    ("edx.user.settings.", "account", account.setting_changed, True),
    ("edx.user.", "account", None, True),
    ("xblock.poll.", "poll", untabled.polled, True),
    ("xblock.survey.", "poll", untabled.polled, True),
    ("ubc.peer_instruction.", "poll", untabled.polled, True),
    ("edx.instructor.", "staff", untabled.administered, False),
    ("edx.course.index.", "staff", untabled.administered, False),
    ("list-", "staff", untabled.administered, False),
    ("dump-", "staff", untabled.administered, False),
    ("xblock.", "xblock", None, True),
)

_FAMILIES: Final = {
    "account": account.ACTIONS,
    "assessment": assessment.ACTIONS,
    "enrollment": enrollment.ACTIONS,
    "forum": forum.ACTIONS,
    "grouping": grouping.ACTIONS,
    "navigation": navigation.ACTIONS,
    "problem": problem.ACTIONS,
    "progress": progress.ACTIONS,
    "video": video.ACTIONS,
    **untabled.ACTIONS,
}

_DIRECT: Final[dict[Transform | None, Direct]] = {video.at_position: video.at_position_so, video.seek: video.seek_so}

#: Every name that we know, old and new, of browsers, apps and the server.
NAMES: Final[dict[str, Entry]] = {
    name: Entry(family, action, transform, _is_act(name, family), _DIRECT.get(transform))
    for family, actions in _FAMILIES.items()
    for name, (action, transform) in actions.items()
}
