"""Logs in which somebody stands in every way there is, and tables of the platform that know her."""

import json

from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.refresh import ParquetTarget
from completion_aggregator.tracking.refresh.summary import Account
from completion_aggregator.tracking.refresh.tables import ANONYMOUS_ID, COHORT_MEMBER, POST, POST_TEXT, USER
from tests.tracking.builders import COURSE, LOG, event, put
from tests.tracking.builders import line as line_of

#: No test and no folder is called so.
NAME, NUMBER = "quokka", 7
SHE = (NUMBER, NAME)
#: The id under which open responses know her.
ANONYMOUS = "a" * 32
CONTEXT = event()["context"]


def hers(second, **given):
    return line_of(second, **({"username": NAME, "context": CONTEXT | {"user_id": NUMBER}} | given))


def others(second, **given):
    return line_of(second, **({"username": "bob", "context": CONTEXT | {"user_id": 9}, "session": "0b0b"} | given))


def assessed(scorer):
    return {"scorer_id": scorer, "score_type": "PE", "submission_uuid": "5b", "feedback": "well done"}


def form(name):
    return json.dumps({"POST": {"username": [name], "email": [f"{name}@example.org"], "name": ["Q"]}, "GET": {}})


NOBODY = {"username": "", "context": CONTEXT | {"user_id": None}}
VIDEO = '{"id": "9d251397874d4f0b947b606c81ccf83c", "currentTime": 1.5, "code": "html5"}'
POSTED = {"id": "65", "title": "Hello", "body": "Is this right?", "commentable_id": "t"}
LINES = (
    hers(1),
    hers(2, name="play_video", event=VIDEO),
    hers(3, username=NAME.upper()),
    hers(4, context=CONTEXT | {"user_id": ""}),
    hers(5, context=CONTEXT | {"user_id": 8}),
    hers(6, username=""),
    hers(7, name="edx.forum.thread.created", event_source="server", event=POSTED),
    hers(8, name="openassessmentblock.peer_assess", event_source="server", event=assessed(ANONYMOUS)),
    others(9, name="openassessmentblock.peer_assess", event_source="server", event=assessed(ANONYMOUS)),
    others(10, name="openassessmentblock.peer_assess", event_source="server", event=assessed("b" * 32)),
    others(11, page=f"https://courses.example.org/u/{NAME}"),
    others(12, name="play_video", event=VIDEO),
    others(13, username=f"{NAME}_2", context=CONTEXT | {"user_id": 19}),
    others(14, context=CONTEXT | {"user_id": 8}),
    line_of(15, name="/create_account", event_source="server", event=form(NAME), **NOBODY),
    line_of(16, name="/create_account", event_source="server", event=form("bob"), **NOBODY),
    b'{"username": "%s", "event" broken' % NAME.encode(),
    b'{"username": "bob", "event" broken',
)
KEEPING = {"keeps_text": True, "keeps_raw": True}


def log(folder, name=LOG, some=LINES):
    return put(folder / name, b"\n".join(some) + b"\n")


def person_of(store, number=None, name=""):
    return Pseudonyms(store.keys).person(number, name)


def refresh(store):
    """Write tables of the platform as a refresh would."""
    theirs, his = person_of(store, NUMBER), person_of(store, 9)
    target = ParquetTarget(store.tables_folder, store.private_folder / "tables")
    write = Account("platform", target).write
    write(USER, [(who, number, name, f"{name}@example.org", True, False, None, None) for who, number, name in (
        (theirs, NUMBER, NAME), (his, 9, "bob"))])  # fmt: skip
    write(ANONYMOUS_ID, [(theirs, COURSE, ANONYMOUS, NUMBER), (his, COURSE, "b" * 32, 9)])
    write(COHORT_MEMBER, [(theirs, COURSE, 1, "One"), (his, COURSE, 1, "One")])
    posts = [(who, COURSE, item, "thread", *[None] * 15) for who, item in ((theirs, "65"), (his, "66"))]
    write(POST, posts)
    write(POST_TEXT, [(item, "thread", COURSE, "Title", "Body") for item in ("65", "66")])
