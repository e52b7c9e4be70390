"""What a request asks for, parsed once at the door into frozen values; whatever cannot be read is a 4xx."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict
from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.request import Request

from completion_aggregator.conf import block_types
from completion_aggregator.ports import get_platform

#: Fields that are no block type.
MEAN: Final = "mean"
USERNAME: Final = "username"
MOST_USER_IDS: Final = 10_000
_LARGEST_ID: Final = 2**63 - 1
#: A whole number, as ``int`` reads it; ids below zero are nobody's.
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Fields:
    """What entries hold besides the course's own tally; ``block_types`` in the order asked for.

    ``root_block``: list only blocks at or below it.
    """

    block_types: tuple[str, ...] = ()
    mean: bool = False
    username: bool = False
    optional: bool = False
    root_block: str | None = None


def course_key_of(text: str) -> CourseKey:
    """Return the course key; NotFound where there can be none such, or it is of one version of a course."""
    try:
        course_key = CourseKey.from_string(text)
    except InvalidKeyError:
        raise NotFound(f"Invalid course key: '{text}'.") from None
    versioned = getattr(course_key, "branch", None) or getattr(course_key, "version_guid", None)
    if not course_key.is_course or versioned or len(text) > 255 or "\0" in text:
        raise NotFound(f"Invalid course key: '{text}'.")
    return course_key


def values_of(request: Request) -> Mapping[str, Any]:
    """Return the parameters of a request: those of the query, or of the body where there is one."""
    if request.method != "POST":
        return request.query_params.dict()
    if isinstance(request.data, QueryDict):
        lists = {"requested_fields", "user_ids"}
        return {name: request.data.getlist(name) if name in lists else request.data[name] for name in request.data}
    if not isinstance(request.data, Mapping):
        raise ParseError("The body must be a JSON object.")
    return request.data


def username_of(values: Mapping[str, Any]) -> str | None:
    """Return whose progress is asked for, as it was named: None or empty where nobody is."""
    username = values.get("username")
    if username is None:
        return None
    if not isinstance(username, str) or not is_text(username):
        raise ParseError("Invalid username value: it must be text.")
    return username


def fields_of(values: Mapping[str, Any]) -> Fields:
    """Return the fields asked for."""
    asked = dict.fromkeys(_texts("requested_fields", values.get("requested_fields")))
    unknown = asked.keys() - {MEAN, USERNAME} - block_types() - get_platform().aggregator_types()
    if unknown:
        raise ParseError(f"Invalid requested_fields value(s): {{{', '.join(map(repr, sorted(unknown)))}}}")
    return Fields(
        block_types=tuple(each for each in asked if each not in (MEAN, USERNAME)),
        mean=MEAN in asked,
        username=USERNAME in asked,
        optional=_flag(values.get("include_optional")),
    )


def user_ids_of(values: Mapping[str, Any]) -> frozenset[int] | None:
    """Return the ids of the users to narrow an answer to, None for everybody."""
    given = values.get("user_ids")
    if given in (None, "", []):
        return None
    parts = given.replace(".", ",").split(",") if isinstance(given, str) else given
    if not isinstance(parts, Iterable) or isinstance(parts, Mapping):
        parts = [parts]
    texts = [each.strip() if isinstance(each, str) else each for each in parts]
    texts = [each for each in texts if each != ""]
    bad = [each for each in texts if not _is_id(each)] if texts else [given]
    if bad:
        raise ParseError(f"Invalid user_ids value(s): {{{', '.join(map(_shown, bad[:5]))}}}")
    if len(texts) > MOST_USER_IDS:
        raise ParseError(f"Invalid user_ids value(s): more than {MOST_USER_IDS:,} at once")
    return frozenset(map(int, texts))


def is_true(value: Any) -> bool:
    """Return whether a query parameter says yes: ``true``, in any case."""
    return isinstance(value, str) and value.lower() == "true"


def is_text(text: str) -> bool:
    """Return whether *text* can be written down: half a surrogate pair, which JSON can spell, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flag(value: Any) -> bool:
    return value is True or value == 1 or is_true(value)


def _texts(name: str, given: Any) -> list[str]:
    parts = [] if given is None else given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, list) or not all(isinstance(each, str) for each in parts):
        raise ParseError(f"Invalid {name} value(s): it must be a list of texts.")
    return [each for each in parts if each]


def root_block_of(values: Mapping[str, Any]) -> str | None:
    """Return the block to list what is at or below; NotFound where it is no key of a block."""
    text = values.get("root_block")
    if text is None or text == "":
        return None
    if not isinstance(text, str) or not is_text(text):
        raise NotFound(f"Invalid block key: '{_shown(text)}'.")
    try:
        # A plus sign that was not escaped arrives as a space.
        return str(UsageKey.from_string(text.replace(" ", "+")))
    except InvalidKeyError:
        raise NotFound(f"Invalid block key: '{text}'.") from None


def _shown(value: Any) -> str:
    """Return *value* as a message shows it: lists and objects, which may be as deep as they like, by their type."""
    return repr(value) if isinstance(value, str | int | float) else type(value).__name__


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return bool(_WHOLE.fullmatch(value)) and abs(int(value)) <= _LARGEST_ID
    if isinstance(value, float) and value.is_integer():  # JSON does not tell 7.0 from 7
        value = int(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_ID
