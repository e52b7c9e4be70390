"""What the Course Blocks API of an LMS says of one learner's completions, asked politely."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests
from opaque_keys.edx.keys import CourseKey
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from completion_aggregator.conf import Webhook
from completion_aggregator.exceptions import CompletionAggregatorError

PATH: Final = "/api/courses/v1/blocks/"
ATTEMPTS: Final = 5
#: Seconds for a connection and for an answer: a big course takes the LMS a while.
TIMEOUT: Final = (10, 120)
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 300.0
TOO_MANY: Final = 429
#: Of one answer: ten times what 20,000 blocks take, and what a busy LMS may need.
LARGEST: Final = 100_000_000
LONGEST: Final = 300.0
BYTES_PER_READ: Final = 65_536


class UnusableLms(CompletionAggregatorError):
    """The LMS cannot be asked: its address, or what it answers to our token."""


class LearnerUnanswered(CompletionAggregatorError):
    """The LMS did not answer for this learner; it may for the next."""


class LearnerUnknown(LearnerUnanswered):
    """The LMS has nobody of this name, and says so: it is there, and answers us."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A learner's completions, by block key, of the blocks that she sees; as of a time by the clock of the LMS."""

    completions: Mapping[str, float]
    as_of: datetime


class _Bearer(AuthBase):
    """The token, in each request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class BlocksApi:
    """One LMS. ``seconds``: from one request to the next, at the least."""

    def __init__(self, url: str, token: str, *, seconds: float) -> None:
        place = Webhook(url, "")
        if not (place.host and (url.startswith("https://") or (url.startswith("http://") and place.is_local))):
            raise UnusableLms("The LMS needs an https:// address; http:// only for this machine.")
        self._url = url.rstrip("/") + PATH
        self._seconds = seconds
        self._next = 0.0
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        self._session.auth = _Bearer(token)  # as a header alone, a password in ~/.netrc would take its place

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def completions_of(self, username: str, course_key: CourseKey) -> Answer:
        """Ask for one learner. Raises UnusableLms or LearnerUnanswered."""
        why, pause = "", FIRST_PAUSE
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(min(pause, LONGEST_PAUSE))
            started = time.monotonic()
            try:
                answer, body = self._get(username, course_key)
            except requests.RequestException as error:
                why, pause = type(error).__name__, FIRST_PAUSE * 2**attempt
                continue
            if answer.ok and not answer.is_redirect:
                return _read(answer, body, timedelta(seconds=time.monotonic() - started))
            why = f"status {answer.status_code}"
            if answer.status_code != TOO_MANY and answer.status_code < 500:
                raise _refusal(answer, body, username)
            pause = _retry_after(answer) or FIRST_PAUSE * 2**attempt
        raise LearnerUnanswered(f"no answer in {ATTEMPTS} attempts: {why}")

    def _get(self, username: str, course_key: CourseKey) -> tuple[requests.Response, bytes]:
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self._seconds
        asked = {
            "course_id": str(course_key),
            "username": username,
            "depth": "all",
            "requested_fields": "completion",
            "return_type": "dict",
        }
        # Not to where it may send us on: the token is for this host.
        with self._session.get(self._url, params=asked, timeout=TIMEOUT, allow_redirects=False, stream=True) as answer:
            return answer, _body(answer, time.monotonic() + LONGEST)


def _body(answer: requests.Response, end: float) -> bytes:
    """Return what is answered, read as it comes: a limit on each read alone would let a slow answer last for ever."""
    found = bytearray()
    try:
        while piece := answer.raw.read1(BYTES_PER_READ, decode_content=True):
            found += piece
            if len(found) > LARGEST or time.monotonic() > end:
                raise LearnerUnanswered("the answer is larger, or takes longer, than any should")
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    return bytes(found)


def _refusal(answer: requests.Response, body: bytes, username: str) -> CompletionAggregatorError:
    if answer.status_code == 404:
        if _names(body, username):
            return LearnerUnknown("the LMS does not know the learner")
        return LearnerUnanswered("status 404: the LMS does not have the course, or another site has this address")
    if answer.status_code == 401:
        return UnusableLms("The LMS refuses the token (status 401): it must be of course staff.")
    if answer.status_code >= 400:
        return LearnerUnanswered(f"the LMS refuses with status {answer.status_code}; the token must be of course staff")
    return UnusableLms(f"The LMS answered with status {answer.status_code}.")


def _names(body: bytes, username: str) -> bool:
    """Say whether a 404 is about the learner: "Requested user 'ana' does not exist."."""
    try:
        return f"'{username}'" in json.loads(body)["developer_message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _read(answer: requests.Response, body: bytes, took: timedelta) -> Answer:
    try:
        blocks = json.loads(body)["blocks"]
        completions = {key: _completion(block) for key, block in blocks.items() if block.get("completion") is not None}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise LearnerUnanswered("the answer is not that of the Course Blocks API") from error
    # What is completed while the LMS works on its answer is not in it, and must count as newer.
    return Answer(completions, _clock(answer) - took)


def _completion(block: Mapping[str, Any]) -> float:
    value = float(block["completion"])
    if not 0.0 <= value <= 1.0:
        raise ValueError(value)
    return value


def _clock(answer: requests.Response) -> datetime:
    now = datetime.now(UTC)
    try:
        # Nothing is as of a time to come: it would stand until then, whatever the learner does.
        return min(parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC), now)
    except (KeyError, ValueError, TypeError, OverflowError):
        return now


def _retry_after(answer: requests.Response) -> float:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0.0
