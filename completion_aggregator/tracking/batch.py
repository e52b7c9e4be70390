"""Rows on their way from lines to tables: lists of tuples, which become columns when the batch is full.

A row of a typed table is ``(row, *own columns)``: ``row`` is the number of its event in the batch, and stands for the
four columns that all tables of events share. They are put in when the batch is written, for many rows at once.
"""

from collections.abc import Callable
from typing import Any

from completion_aggregator.tracking import tables


class Batch:
    """What some lines came to. One is filled at a time, so the event at hand is part of it."""

    __slots__ = (
        "account",
        "assessment",
        "assessment_part",
        "attempt",
        "clean",
        "course",
        "enrollment",
        "forum",
        "grouping",
        "keeps_text",
        "keyed",
        "left",
        "module",
        "name",
        "navigation",
        "place",
        "progress",
        "response",
        "row",
        "source",
        "text",
        "video",
    )

    def __init__(
        self,
        *,
        keyed: Callable[[str, str], bytes | None],
        clean: Callable[[str], str],
        place: Callable[[str], str],
        keeps_text: bool = False,
    ) -> None:
        """``keyed(domain, value)`` gives a pseudonym, if not of one who was forgotten.

        ``clean(text)`` takes the event's own names out of a text, ``place(address)`` them and the query out of an
        address.
        """
        self.keyed = keyed
        self.clean = clean
        self.place = place
        self.keeps_text = keeps_text
        #: The event at hand: its number in the batch, name, course key (or ""), source, and ``context.module``.
        self.row = 0
        self.name = ""
        self.course = ""
        self.source = ""
        self.module: dict[str, Any] | None = None
        #: What a ``Direct`` left of its payload, None for nothing.
        self.left: dict[str, Any] | None = None
        for table in (*tables.TYPED, tables.ACCOUNT, tables.TEXT):
            setattr(self, table.name, [])

    account: list[tuple[Any, ...]]
    assessment: list[tuple[Any, ...]]
    assessment_part: list[tuple[Any, ...]]
    attempt: list[tuple[Any, ...]]
    enrollment: list[tuple[Any, ...]]
    forum: list[tuple[Any, ...]]
    grouping: list[tuple[Any, ...]]
    navigation: list[tuple[Any, ...]]
    progress: list[tuple[Any, ...]]
    response: list[tuple[Any, ...]]
    text: list[tuple[Any, ...]]
    video: list[tuple[Any, ...]]


#: Takes what it knows out of the payload of an event, adds rows to the batch, and returns the usage key of the block,
#: or "". What is left in the payload is scrubbed and kept in ``event.extra``. Called with action, payload, batch.
Transform = Callable[[str, dict[str, Any], Batch], str]
#: The same for a payload that is a text, as it is written; what is left goes to ``batch.left``. Returns None, with
#: nothing added, where the payload has not the usual form: then it is decoded, and ``Transform`` takes it.
Direct = Callable[[str, str, Batch], str | None]
