"""Paths of the site, in which some segments are a person's name or number, or a secret."""

import re
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: After these, a segment is a person's name or number, a secret, or the id of something that shows the person.
_OF_PERSON: Final = _words(
    "u user users username usernames account accounts profile profiles profile_image profile_images learner"
    " learners student students preferences certificate certificates xqueue submission_history team_membership"
    " activate email_confirm password_reset_confirm password_reset_complete unsubscribe optout verify_student confirm"
    " change_email_confirm anonymous_user_id support enrollment"
)
#: Segments that name a thing to do, of whoever does it.
_OF_NOBODY: Final = _words(
    "api login logout register settings me course courses session sessions registration password_reset finalize"
    " history progress search retire deactivate accounts users user upload remove verify confirm recover recovery"
    " enrollment enrollments course_enrollments lms instructor profile account preferences certificates certificate"
    " generate manage-user manage_user dashboard student learner student_view index new list create bulk validation"
    " time_zones data-sharing"
)
_VERSION: Final = re.compile(r"v[0-9]{1,2}(?:\.[0-9]{1,2})?")
_KEY: Final = re.compile(r"[a-z-]{2,12}-v1(?::|%3a)|i4x(?::|%3a)|[\w.-]+%2f[\w.-]+%2f", re.IGNORECASE)
_OWNED: Final = re.compile(rf"[^,]*?(?:,|%2c)(?={_KEY.pattern})", re.IGNORECASE)
#: A key of content as nearly all are: no rule takes anything out of one, or joins it with what stands beside it.
_PLAIN_KEY: Final = re.compile(
    r"course-v1:[\w~-]+\+[\w~-]+\+[\w~-]+|block-v1:[\w~-]+\+[\w~-]+\+[\w~-]+\+type@[\w-]+\+block@[\w~-]+", re.ASCII
)
#: Such keys themselves, which stand for any other.
_ANY_COURSE: Final = "course-v1:a+a+a"
_ANY_BLOCK: Final = "block-v1:a+a+a+type@a+block@a"
ANY_KEY: Final = re.compile(f"({re.escape(_ANY_COURSE)}|{re.escape(_ANY_BLOCK)})(?![^/])")
_PARAMETER: Final = re.compile(r";[a-z_]{1,40}=[^/]*", re.IGNORECASE)


def parted(path: str) -> tuple[str, list[str]]:
    """Return a path with the same key for all that are plain, of which there are few, and the keys that stood there."""
    if "-v1:" not in path:
        return path, []
    segments, keys = path.split("/"), []
    for at, segment in enumerate(segments):
        if "-v1:" in segment and _PLAIN_KEY.fullmatch(segment):
            keys.append(segment)
            segments[at] = _ANY_BLOCK if segment[0] == "b" else _ANY_COURSE
    return "/".join(segments), keys


def without_persons(path: str) -> str:
    """Return a path with ``*`` for each segment that is a person's."""
    if ";" in path:
        path = _PARAMETER.sub("", path)
    segments = path.split("/")
    before, is_person = "", False
    for at, segment in enumerate(segments):
        if not segment:
            continue
        low = segment.lower()
        told = _ownerless(segment, before)
        if is_person and told == segment and not _VERSION.fullmatch(low) and not _KEY.match(low):
            told = segment if low in _OF_NOBODY else "*"
            is_person = low in _OF_PERSON
        else:
            is_person = (is_person and told == segment) or low in _OF_PERSON or low.startswith("student_progress")
        segments[at], before = told, low
    return "/".join(segments)


def _ownerless(segment: str, before: str) -> str:
    """Return a segment without the name before a comma, or the number behind ``progress``."""
    if before == "progress" and segment.isdigit():
        return "*"
    if "," in segment and before in {"enrollment", "bookmarks"}:
        return "*," + segment.partition(",")[2]
    owned = _OWNED.match(segment) if "," in segment or "%2" in segment else None
    return "*," + segment[owned.end() :] if owned else segment
