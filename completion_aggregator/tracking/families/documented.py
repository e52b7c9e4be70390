"""The 209 names of the public reference of events, by how they begin."""

from typing import Final

_ENDINGS: Final = {
    "": (
        "add-forum-admin add-forum-community-TA add-forum-mod dump-answer-dist-csv"
        " dump-graded-assignments-config dump-grades dump-grades-csv dump-grades-csv-raw dump-grades-raw"
        " edx.course.tool.accessed edx.done.toggled edx.forum.searched hide_transcript list-beta-testers"
        " list-forum-admins list-forum-community-TAs list-forum-mods list-instructors list-staff list-students"
        " load_video page_close pause_video play_video problem_check problem_check_fail problem_graded"
        " problem_rescore problem_rescore_fail problem_reset problem_save problem_show remove-forum-admin"
        " remove-forum-community-TA remove-forum-mod reset_problem reset_problem_fail save_problem_fail"
        " save_problem_success seek_video seq_goto seq_next seq_prev show_transcript showanswer"
        " speed_change_video stop_video xblock.split_test.child_render"
        " xmodule.partitions.assigned_user_to_partition"
    ),
    "edx.bookmark.": "accessed added listed removed",
    "edx.certificate.": "created evidence_visited generation.disabled generation.enabled revoked shared",
    "edx.cohort.": "created creation_requested user_add_requested user_added user_removed",
    "edx.course.enrollment.": "activated deactivated mode_changed upgrade.clicked",
    "edx.course.student_notes.": "added deleted edited notes_page_viewed searched used_unit_link viewed",
    "edx.drag_and_drop_v2.": "feedback.closed feedback.opened item.dropped item.picked_up loaded",
    "edx.forum.comment.": "created deleted edited reported unreported",
    "edx.forum.response.": "created deleted edited reported unreported voted",
    "edx.forum.thread.": "created deleted edited locked reported unlocked unreported viewed voted",
    "edx.googlecomponent.": "calendar.displayed document.displayed",
    "edx.grades.": (
        "course.grade_calculated problem.rescored problem.score_overridden problem.state_deleted"
        " problem.submitted subsection.grade_calculated"
    ),
    "edx.instructor.report.": "downloaded requested",
    "edx.librarycontentblock.content.": "assigned removed",
    "edx.problem.hint.": "demandhint_displayed feedback_displayed",
    "edx.special_exam.practice.": (
        "allowance.created allowance.deleted attempt.created attempt.deleted"
        " attempt.download_software_clicked attempt.error attempt.ready_to_start attempt.ready_to_submit"
        " attempt.started attempt.submitted created updated"
    ),
    "edx.special_exam.proctored.": (
        "allowance.created allowance.deleted attempt.created attempt.declined attempt.deleted"
        " attempt.download_software_clicked attempt.error attempt.ready_to_start attempt.ready_to_submit"
        " attempt.rejected attempt.review_received attempt.started attempt.submitted attempt.verified created"
        " option-presented updated"
    ),
    "edx.special_exam.timed.": (
        "allowance.created allowance.deleted attempt.created attempt.deleted attempt.ready_to_submit"
        " attempt.started attempt.submitted created updated"
    ),
    "edx.team.": "activity_updated changed created deleted learner_added learner_removed page_viewed searched",
    "edx.ui.lms.": (
        "link_clicked outline.selected sequence.next_selected sequence.previous_selected sequence.tab_selected"
    ),
    "edx.video.": (
        "closed_captions.hidden closed_captions.shown language_menu.hidden language_menu.shown loaded paused"
        " played position.changed stopped transcript.hidden transcript.shown"
    ),
    "edx.video.bumper.": (
        "dismissed loaded played skipped stopped transcript.hidden transcript.menu.hidden"
        " transcript.menu.shown transcript.shown"
    ),
    "openassessment.": "student_training_assess_example upload_file upload_file_error",
    "openassessmentblock.": (
        "create_submission get_peer_submission get_submission_for_staff_grading peer_assess save_submission"
        " self_assess staff_assess submit_feedback_on_assessments"
    ),
    "textbook.pdf.": (
        "chapter.navigated display.scaled outline.toggled page.navigated page.scrolled search.executed"
        " search.highlight.toggled search.navigatednext searchcasesensitivity.toggled thumbnail.navigated"
        " thumbnails.toggled zoom.buttons.changed zoom.menu.changed"
    ),
}

#: Every name that the reference lists.
DOCUMENTED: Final = frozenset(
    f"{beginning}{ending}" for beginning, endings in _ENDINGS.items() for ending in endings.split()
)
