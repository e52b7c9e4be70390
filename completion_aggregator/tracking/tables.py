"""The tables, each column once: Parquet, DuckDB, ClickHouse and the reference page are made from what stands here.

Times are UTC in microseconds. Positions and durations are seconds, points as the platform gives them. Absent is NULL.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What a column holds."""

    ID = "128 bits, shown as a UUID"
    TIME = "UTC, microseconds"
    TERM = "text of few values"
    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "double"
    FLAG = "true or false"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what it holds, what that means."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; ``is_private``: it stands in the private store, apart from the others."""

    name: str
    row: str
    columns: tuple[Column, ...]
    is_private: bool = False

    @property
    def own(self) -> tuple[str, ...]:
        """The names of the columns beyond those that all tables of events share, in order."""
        shared = {column.name for column in COMMON}
        return tuple(column.name for column in self.columns if column.name not in shared)


_ID, _TIME, _TERM, _TEXT = Kind.ID, Kind.TIME, Kind.TERM, Kind.TEXT
_INTEGER, _NUMBER, _FLAG = Kind.INTEGER, Kind.NUMBER, Kind.FLAG

#: What every table of events begins with.
COMMON: Final = (
    Column("event_id", _ID, "First 128 bits of the SHA-256 of the event's bytes."),
    Column("time", _TIME, "When it happened; NULL never: see `event.time_quality`."),
    Column("person", _ID, "Keyed pseudonym of the learner; NULL where the event names nobody."),
    Column("course", _TERM, "Course key, as the platform writes it; NULL outside a course."),
)
_BLOCK: Final = Column("block", _TERM, "Usage key of the block; videos and old keys are written out in full.")


def _of_events(name: str, row: str, *columns: Column, private: bool = False) -> Table:
    return Table(name, row, (*COMMON, *columns), is_private=private)


def _action(names: str) -> Column:
    return Column("action", _TERM, f"One of {', '.join(f'`{name}`' for name in names.split())}.")


EVENT: Final = _of_events(
    "event",
    "distinct event",
    Column(
        "time_quality",
        _TERM,
        "`ok`; `prefix`: taken from the line's prefix; `neighbour`: of the event before; `outside`: the clock was"
        " wrong; `unreadable`. Of the last two, `time` is the log's day, and `extra.time` is what was"
        " written (of what looks like no time its length).",
    ),
    Column("name", _TERM, "The event's name; of implicit events the kind of address, such as `/courses/*/xblock/*`."),
    Column("family", _TERM, "Which table has its fields, or what it is about."),
    Column("source", _TERM, "`browser`, `mobile`, `server` or `task`."),
    Column("by_learner", _FLAG, "Whether a learner's own act made it."),
    Column("org", _TERM, "Organization of the course."),
    _BLOCK,
    Column("session", _ID, "Keyed pseudonym of the session."),
    Column("country", _TERM, "ISO 3166 code of the address's country, where the site has a database of them."),
    Column("agent", _TERM, "The browser or app, in its own words."),
    Column("host", _TERM, "Host that answered."),
    Column("path", _TERM, "Path of the request, without query, and with learners' names and numbers taken out."),
    Column("page", _TERM, "Page that the browser was on, likewise."),
    Column("load", _INTEGER, "The load that brought it (table `load`)."),
    Column(
        "extra", _TEXT, "JSON object of what no column holds, without names, addresses and free text; NULL: nothing."
    ),
)

VIDEO: Final = _of_events(
    "video",
    "video event",
    _BLOCK,
    _action("load play pause stop seek speed transcript captions complete bumper"),
    Column("position_s", _NUMBER, "Where the video stood, seconds."),
    Column("duration_s", _NUMBER, "Length of the video, seconds."),
    Column("from_s", _NUMBER, "Seek: from where, seconds."),
    Column("to_s", _NUMBER, "Seek: to where, seconds."),
    Column("speed_from", _NUMBER, "Speed before, 1 is normal."),
    Column("speed_to", _NUMBER, "Speed after."),
    Column("seek_kind", _TERM, "What was used to seek; transcript and captions: `show` or `hide`."),
)
ATTEMPT: Final = _of_events(
    "attempt",
    "problem event",
    _BLOCK,
    _action("submit graded save show answer_shown reset rescore fail hint"),
    Column("attempt", _INTEGER, "Number of the attempt, from 1."),
    Column("success", _FLAG, "Whether all of it was correct."),
    Column("earned", _NUMBER, "Points."),
    Column("possible", _NUMBER, "Points that there are."),
    Column("old_earned", _NUMBER, "Points before rescoring."),
    Column("old_possible", _NUMBER, "Points that there were before rescoring."),
    Column("reason", _TERM, "Why it failed, or was reset or rescored."),
)
RESPONSE: Final = _of_events(
    "response",
    "answer to a part of a problem",
    _BLOCK,
    Column("part", _TERM, "Name of the input field, such as `<id>_2_1`."),
    Column("seat", _TERM, "`given`: in this event; `before`: the state that it found; `saved`: saved, not submitted."),
    Column("answer", _TEXT, "The answer; several choices as a JSON list."),
    Column("input_type", _TERM, "Such as `choicegroup`."),
    Column("correct", _TERM, "`correct`, `incorrect`, `partially-correct` or `queued`."),
    Column("points", _NUMBER, "Points given."),
    Column("hint", _TEXT, "Hint that was shown."),
    Column("message", _TEXT, "Message of the grader."),
    Column("seed", _INTEGER, "Seed of a randomized problem."),
    Column("done", _FLAG, "Whether the problem had been submitted."),
)
NAVIGATION: Final = _of_events(
    "navigation",
    "step to another place: sequence, link, book, page, search",
    _BLOCK,
    Column("action", _TERM, "Such as `goto`, `next`, `prev`, `tab`, `link`, `outline`, `close`, `book`, `bookmark`."),
    Column("from_pos", _NUMBER, "Position before, from 1; of books the page."),
    Column("to_pos", _NUMBER, "Position after."),
    Column("tabs", _INTEGER, "How many positions there are."),
    Column("target", _TERM, "Where it leads: an address without query, or a place in a book."),
)
ENROLLMENT: Final = _of_events(
    "enrollment",
    "change of an enrollment",
    _action("on off mode"),
    Column("mode", _TERM, "Such as `audit` or `verified`."),
)
ASSESSMENT: Final = _of_events(
    "assessment",
    "step of an open response or peer assessment",
    _BLOCK,
    Column(
        "action", _TERM, "Such as `submit`, `save`, `peer`, `self`, `staff`, `get`, `feedback`, `upload`, `training`."
    ),
    Column("submission", _TERM, "Submission's id."),
    Column("attempt", _INTEGER, "Number of the attempt."),
    Column("scorer", _ID, "Keyed pseudonym of who scored."),
    Column("score_type", _TERM, "`PE`: peer, `SE`: self, `ST`: staff."),
    Column("text_length", _INTEGER, "Characters of what was written; the text itself is private."),
)
ASSESSMENT_PART: Final = _of_events(
    "assessment_part",
    "criterion of an assessment",
    _BLOCK,
    Column("submission", _TERM, "Submission's id."),
    Column("criterion", _TERM, "Criterion's name."),
    Column("option", _TERM, "Option chosen."),
    Column("points", _NUMBER, "Points of the option."),
    Column("possible", _NUMBER, "Points that the criterion has."),
)
FORUM: Final = _of_events(
    "forum",
    "event of the discussions",
    Column("action", _TERM, "Such as `view`, `create`, `edit`, `delete`, `vote`, `search`, `follow`, `report`, `pin`."),
    Column("level", _TERM, "`thread`, `response` or `comment`."),
    Column("item", _TERM, "Id of the post."),
    Column("parent", _TERM, "Id of the post that it answers."),
    Column("topic", _TERM, "Id of the topic."),
    Column("body_length", _INTEGER, "Characters of the post; the text itself is private."),
    Column("query", _TEXT, "What was searched for, without the searcher's own name."),
    Column("results", _INTEGER, "How many were found."),
)
GROUPING: Final = _of_events(
    "grouping",
    "event of a cohort, partition, split test or team",
    Column("action", _TERM, "Such as `cohort_added`, `assigned`, `rendered`, `team_joined`."),
    Column("group_id", _TERM, "Group, cohort or team."),
    Column("group_name", _TERM, "Its name."),
    Column("partition_id", _TERM, "Partition of a split test."),
    Column("partition_name", _TERM, "Its name."),
    _BLOCK,
)
PROGRESS: Final = _of_events(
    "progress",
    "grade, completion or certificate",
    Column("kind", _TERM, "`completion`, `problem`, `subsection`, `course`, `certificate`."),
    _BLOCK,
    Column("earned", _NUMBER, "Points; of a completion 0 to 1."),
    Column("possible", _NUMBER, "Points that there are."),
    Column("ratio", _NUMBER, "0 to 1."),
    Column("letter", _TERM, "Letter grade."),
    Column("passed", _FLAG, "Whether it is a pass."),
)
COPY: Final = Table(
    "copy",
    "event met again",
    (
        COMMON[0],
        Column("time", _TIME, "When it happened."),
        Column("source", _INTEGER, "The file content in which it stood (table `source`)."),
        Column("offset", _INTEGER, "Where in it, bytes from the start."),
        Column("load", _INTEGER, "The load that met it."),
    ),
)

EVENT_PRIVATE: Final = Table(
    "event_private",
    "event that says who or where from",
    (
        COMMON[0],
        COMMON[1],
        Column("ip", _TERM, "Address of the client."),
        Column("username", _TERM, "As written in the event."),
        Column("session", _TERM, "As written in the event."),
        Column("raw", _TEXT, "The whole object, where the site keeps it (`--keep-raw`)."),
    ),
    is_private=True,
)
PERSON: Final = Table(
    "person",
    "name or number under which a person was seen in a load",
    (
        Column("person", _ID, "The pseudonym in the open tables."),
        Column("user_id", _INTEGER, "The platform's number of the user."),
        Column("username", _TERM, "The platform's name of the user."),
        Column("first", _TIME, "First seen."),
        Column("time", _TIME, "Last seen."),
        Column("legacy", _TERM, "Old hash of the name (`--legacy-anon-id`)."),
    ),
    is_private=True,
)
_ACCOUNT_FIELDS: Final = (
    *("username", "name", "email", "mailing_address", "city", "country", "gender", "year_of_birth"),
    *("level_of_education", "goals", "honor_code", "terms_of_service", "course", "enrollment_action", "receive_emails"),
)
ACCOUNT: Final = Table(
    "account",
    "form of a new account",
    (
        COMMON[0],
        COMMON[1],
        *(Column(name, _TEXT, f"Field `{name}` of the form.") for name in _ACCOUNT_FIELDS),
    ),
    is_private=True,
)
TEXT: Final = Table(
    "text",
    "free text of a discussion or an open response, where the site keeps it (`--keep-text`)",
    (
        COMMON[0],
        COMMON[1],
        Column("kind", _TERM, "`title`, `body`, `answer`, `feedback` or `query`."),
        Column("text", _TEXT, "The text."),
    ),
    is_private=True,
)
QUARANTINE: Final = Table(
    "quarantine",
    "line that is no event",
    (
        Column("time", _TIME, "The log's day."),
        Column("source", _INTEGER, "The file content in which it stands (table `source`)."),
        Column("offset", _INTEGER, "Where in it, bytes from the start."),
        Column("length", _INTEGER, "Bytes of the line."),
        Column("reason", _TERM, "Why no rung of the ladder held it."),
        Column("line", _TEXT, "Its first 4 KB, undecodable bytes escaped."),
        Column("load", _INTEGER, "The load that met it."),
    ),
    is_private=True,
)

#: Each has one row for some events, linked by ``event_id``.
TYPED: Final = (
    VIDEO,
    ATTEMPT,
    RESPONSE,
    NAVIGATION,
    ENROLLMENT,
    ASSESSMENT,
    ASSESSMENT_PART,
    FORUM,
    GROUPING,
    PROGRESS,
)
OPEN: Final = (EVENT, *TYPED, COPY)
PRIVATE: Final = (EVENT_PRIVATE, PERSON, ACCOUNT, TEXT, QUARANTINE)
TABLES: Final = {table.name: table for table in (*OPEN, *PRIVATE)}
