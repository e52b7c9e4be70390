"""The tables of the ledger that may be asked, without what only the loader needs. Times are texts there, ISO 8601."""

from typing import Final

from completion_aggregator.tracking.tables import Column, Kind, Table

_COUNTED: Final = (
    Column("bytes", Kind.INTEGER, "Bytes of the logs, unpacked."),
    Column("lines", Kind.INTEGER, "Lines."),
    Column("blank", Kind.INTEGER, "Lines with nothing on them."),
    Column("joined", Kind.INTEGER, "Further events that stood on one line with another."),
    Column("events", Kind.INTEGER, "Events that were new."),
    Column("copies", Kind.INTEGER, "Events that were met before."),
    Column("quarantined", Kind.INTEGER, "Lines that are no event."),
    Column("repaired", Kind.INTEGER, "Those that were damaged and could be read all the same."),
)
LOAD: Final = Table(
    "load",
    "step of a run: some files, or a range of a large one",
    (
        Column("load", Kind.INTEGER, "Its number, ascending."),
        Column("run", Kind.TEXT, "The run that it was a step of."),
        Column("began", Kind.TEXT, "When it was begun."),
        Column("ended", Kind.TEXT, "When it was committed."),
        Column("seconds", Kind.NUMBER, "How long the work took."),
        Column("version", Kind.TEXT, "The version of this package."),
        Column("key_id", Kind.TEXT, "Which keys made the pseudonyms."),
        *_COUNTED,
    ),
)
SOURCE: Final = Table(
    "source",
    "content of a file, whatever its names and wherever it was found",
    (
        Column("source", Kind.INTEGER, "Its number."),
        Column("name", Kind.TEXT, "The name under which it was first seen."),
        Column("digest", Kind.TEXT, "SHA-256 of the bytes that are loaded, unpacked."),
        Column("length", Kind.INTEGER, "How many they are."),
        Column("log_day", Kind.TEXT, "The day that the name tells, or the middle of its times."),
        Column("damage", Kind.TEXT, "What is wrong with the file; empty: nothing."),
        Column("load", Kind.INTEGER, "The last load that read of it."),
        *_COUNTED,
        Column("first", Kind.TEXT, "The time of its first event."),
        Column("last", Kind.TEXT, "The time of its last event."),
    ),
)
FIELD: Final = Table(
    "field",
    "field of an event that no column holds",
    (
        Column("name", Kind.TEXT, "Name of the event."),
        Column("path", Kind.TEXT, "Path of the field in it."),
        Column("type", Kind.TEXT, "Type of its value."),
        Column("first", Kind.TEXT, "When it was first met, by the clock of the load."),
        Column("count", Kind.INTEGER, "How often."),
    ),
)
LEDGER: Final = (LOAD, SOURCE, FIELD)


def query(table: Table) -> str:
    """Return what asks the ledger for the rows of a table."""
    columns = ("hex(digest)" if column.name == "digest" else column.name for column in table.columns)
    return f"SELECT {', '.join(columns)} FROM {table.name}"
