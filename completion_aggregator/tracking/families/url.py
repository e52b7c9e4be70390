"""Implicit events: every request is one, its path is the name, what was sent is the payload.

What was sent may be a password, a name or an answer, so only the names of its fields are kept.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from completion_aggregator.tracking.batch import Batch
from completion_aggregator.tracking.values import usage_key, words

#: Longer paths are made by hand, or by those who look for holes; they are cut, and not remembered.
_LONGEST: Final = 512
_MOST_FIELDS: Final = 50

_KEY: Final = re.compile(
    r"(?:ccx-|lib-)?block-v1:[^/?#&\s]+type@[^/?#&\s]+"
    r"|i4x:/{1,2}[^/?#\s]+/[^/?#\s]+/[^/?#\s]+/[^/?#\s]+"
    r"|i4x:;_;_[^/?#\s]+"
)
#: A form field's name; JSON that was sent as a form would be a name itself, with all that it holds.
_FIELD: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,119}")
_CONTENT: Final = re.compile(r"(?:course|(?:ccx-|lib-)?block|library|asset)-v1:[\w.+@:~-]+", re.ASCII)
_VERSION: Final = re.compile(r"v\d(?:\.\d)?", re.ASCII)
_HANDLER: Final = re.compile(r"[a-z][a-z_]{0,49}")


class _Sent(msgspec.Struct, gc=False):
    """What was sent; only the names of its fields are looked at."""

    get: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict, name="GET")
    post: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict, name="POST")


_decode_sent: Final = msgspec.json.Decoder(_Sent).decode


def requested_so(action: str, text: str, batch: Batch) -> str | None:
    """Take a request as the platform writes it, and decode no values."""
    try:
        sent = _decode_sent(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        return None
    if sent.get or sent.post:
        batch.left = {"fields": _field_names({**sent.get, **sent.post})}
    return block_in(batch.name)


def requested(action: str, payload: dict[str, Any], batch: Batch) -> str:
    """Keep the names of what was sent; the block is the one in the path."""
    sent = [fields for method in ("GET", "POST") if isinstance(fields := payload.get(method), dict)]
    payload.clear()
    if any(sent):
        payload["fields"] = _field_names(name for fields in sent for name in fields)
    return block_in(batch.name)


def block_in(path: str) -> str:
    """Return the usage key in a path, or ""."""
    return _block(path) if len(path) <= _LONGEST else _block.__wrapped__(path[:_LONGEST])


def kind_of(path: str) -> str:
    """Return a path with ``*`` for all that is not a known word of the platform's own addresses.

    There are few kinds, so the name of an event is a term; and whatever names a person is no known word.
    """
    return _kind(path) if len(path) <= _LONGEST else _kind.__wrapped__(path[:_LONGEST])


def is_of_platform(address: str) -> bool:
    """Tell whether an address holds but words of the platform and keys of content: whoever made it is not in it."""
    _, slashes, rest = address.partition("://")
    path = rest.partition("/")[2] if slashes else address
    before = ""
    for segment in path.split("/"):
        is_known = segment in WORDS or segment in _OF_CODE or segment in {"", "*"} or _CONTENT.fullmatch(segment)
        if not is_known and not (_HANDLER if before in _OF_CODE else _VERSION).fullmatch(segment):
            return False
        before = segment
    return True


@lru_cache(maxsize=32768)
def _block(path: str) -> str:
    if "block-v1" not in path and "i4x" not in path:
        return ""
    found = _KEY.search(unquote(path) if "%" in path else path)
    if not found:
        return ""
    key = found[0]
    if key.startswith("i4x:/") and not key.startswith("i4x://"):
        key = key.replace("i4x:/", "i4x://", 1)  # proxies make one slash of two
    return usage_key(key, "", "")


@lru_cache(maxsize=32768)
def _kind(path: str) -> str:
    path = path.partition("?")[0].partition("#")[0]
    if "%" in path:
        path = unquote(path)
    if "i4x:/" in path:
        path = _KEY.sub("*", path)
    kinds: list[str] = []
    before, skip = "", 0
    for segment in path.split("/"):
        if not segment:
            continue
        if skip:
            skip -= 1
            told = "*"
        else:
            told = _segment(segment, before, kinds)
            if before == "courses" and told == "*" and ":" not in segment and "+" not in segment:
                skip = 2  # organization/course/run
        if told != "*" or not kinds or kinds[-1] != "*":
            kinds.append(told)
        before = told
    return "/" + "/".join(kinds)


def _segment(segment: str, before: str, kinds: list[str]) -> str:
    if before in _OF_CODE or (before == "*" and len(kinds) > 1 and kinds[-2] == "modx"):
        return segment if _HANDLER.fullmatch(segment) else "*"
    if "wiki" in kinds:  # pages that people name
        return "*"
    if before in _OF_PERSONS:
        return segment if segment in _NOT_PERSONS or _VERSION.fullmatch(segment) else "*"
    return segment if (segment in WORDS and before != "courses") or _VERSION.fullmatch(segment) else "*"


def _field_names(names: Iterable[str]) -> str:
    return " ".join(sorted(set(map(_told, names)))[:_MOST_FIELDS])


@lru_cache(maxsize=4096)
def _told(name: str) -> str:
    return name if _FIELD.fullmatch(name) else "*"


#: What stands behind these is the name of a function.
_OF_CODE: Final = frozenset({"handler", "handler_noauth", "xmodule_handler"})
#: What stands behind these is a person's name or number, or the id of something that shows the person,
_OF_PERSONS: Final = frozenset(
    words(
        "account accounts activate certificate certificates learner learners preferences profile profile_images"
        " profiles student student_progress students team_membership u user username users"
    )
)
#: but for these.
_NOT_PERSONS: Final = frozenset(
    words(
        "account accounts course_enrollments courses finalize login login_session logout password_reset preferences"
        " registration search settings validation verification_status"
    )
)
#: Words of the platform's own addresses.
WORDS: Final = frozenset(
    words(
        "about access_token account accounts activate activities ajax announcements api asset assets assignments auth"
        " authorize badges basket blocks blog book bookmarks bulk_enroll calendar certificate certificates"
        " change_email_settings change_enrollment change_name change_setting check_state_submit_status cohort cohorts"
        " comment comments commerce completion completion-batch confirm contact content content_groups contents"
        " cookies copyright count course course_enrollments course_experience course_goals course_handouts course_home"
        " course_info course_metadata course_modes course_structure course_structures course_team course_updates"
        " course_wiki courses courseware create create_account credit csrf current dashboard dates dates-widget debug"
        " delete demographics discounts discussion discussions donate download due_dates edit edx_notes edxnotes"
        " edx_proctoring email email_opt_in embargo endorse enroll enrollment enrollment_support enrollments enterprise"
        " entitlements event events exam exam_attempts exams experiments export faq favicon.ico feature finalize"
        " financial-assistance flagAbuse follow followed forum forums generate generate_user_cert get_calc_data"
        " get_context grade gradebook grades graded grading_policy group groups handler handler_noauth handouts health"
        " heartbeat help history home honor html htmlbook id_verifications image images import index info inline"
        " instructor instructor_dashboard instructor_task instructor_task_status jobs jump_to jump_to_id lang_pref"
        " learner learner_dashboard learner_home learner_recommendations learners learning_sequences libraries library"
        " list locations login login_ajax login_refresh login_session logout logout_user lti_consumer lti_provider"
        " manage manage_user_standing media metadata mfe_config mfe_context milestones mobile mode modes modx my_teams"
        " navigation news notes notification notification_prefs notifications notifier_api oauth2 order orders"
        " organizations outline outlines page password_assistance password_change password_reset payment pdfbook"
        " peer_grading pin preferences press privacy problem proctored_exam proctoring profile profile_images profiles"
        " program_enrollments programs progress quality rate recommendations redirect reset_deadlines register"
        " registration remove render reply report_problem reports reset resources resume retirement reviews"
        " robots.txt roles rss_proxy save save_user_state search searches seen segmentio sequence session settings"
        " shoppingcart signin_redirect sitemap.xml sneak_peek staff staff_grading start static status student"
        " student_progress student_view students studio_view submission_history subscribe subsections support survey"
        " syllabus sysadmin tabs tags tasks team team_assignments team_membership teams textbook third_party_auth"
        " threads toggles token topics tos track transcript transcripts translation u unFlagAbuse unenroll unfollow"
        " unpin unsubscribe unvote update upload uploads upvote usage user user_api user_tours username users"
        " validation validate verification_status verify verify_student version video video_bumper video_ids videos"
        " view vote webhooks wiki xblock xblocks xqueue"
    )
)
