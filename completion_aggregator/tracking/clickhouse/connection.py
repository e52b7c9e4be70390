"""A connection to ClickHouse: what is asked of it and sent to it, and what goes wrong as a sentence."""

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from urllib3.exceptions import HTTPError

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.clickhouse import bookkeeping, old_views, schema
from completion_aggregator.tracking.clickhouse.target import Target
from completion_aggregator.tracking.columns import DAY
from completion_aggregator.tracking.destination import ids_of
from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.seen import Ids
from completion_aggregator.tracking.tables import Table

#: Seconds between attempts to insert where the connection broke: what arrived nevertheless has the same token.
PAUSES: Final = (1.0, 5.0)
_INSERTED_AT_ONCE: Final = {"async_insert": 0, "max_partitions_per_insert_block": 0}
_UNKNOWN_USER: Final = frozenset({"AUTHENTICATION_FAILED", "REQUIRED_PASSWORD", "WRONG_PASSWORD", "UNKNOWN_USER"})
_SAID: Final = re.compile(r"DB::Exception: (.*?)(?: \(([A-Z_0-9]+)\))?(?: \(version .*| \(for url .*)?$", re.DOTALL)
_LONGEST: Final = 300


class ClickhouseFailed(TrackingError):
    """ClickHouse cannot be reached, or refuses what it is asked."""


class Connection:
    """A database in ClickHouse that answers."""

    def __init__(self, target: Target, client: Client) -> None:
        self.target, self._client = target, client

    def create(self) -> None:
        """Make the databases and tables that are missing. One who may not make any needs none to be missing."""
        with told(self.target):
            if not self._missing():
                return
            for make in (schema, bookkeeping, old_views):
                for statement in make.statements(self.target):
                    self._client.command(statement)

    def has_events(self) -> bool:
        """Tell whether somebody stored events here."""
        with told(self.target):
            return bool(self._client.query(f"SELECT 1 FROM {self._qualified(tables.EVENT)} LIMIT 1").row_count)

    def event_ids(self, day: int) -> Iterator[Ids]:
        """Yield the ids of the events of a day, in pieces. Rows that stand there twice come twice."""
        begin, end = (f"fromUnixTimestamp64Micro({number * DAY})" for number in (day, day + 1))
        sql = (
            f"SELECT UUIDToNum(event_id) AS id FROM {self._qualified(tables.EVENT)}"
            f" WHERE time >= {begin} AND time < {end}"
        )
        for batch in self.batches(sql):
            yield ids_of(batch.column(0))

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query."""
        with told(self.target), self._client.query_arrow_stream(sql) as batches:
            yield from batches

    def change(self, statement: str) -> None:
        """Change rows that there are. Returns when it is done, on all replicas."""
        with told(self.target):
            self._client.command(f"{statement} SETTINGS mutations_sync = 2")

    def ask_for(self, words: Sequence[str]) -> None:
        """Let the table of words hold these, and no others: what queries look for, and are not to say."""
        with told(self.target):
            self._client.command(f"TRUNCATE TABLE {schema.words(self.target)}")
            if words:
                rows = pa.table({"word": pa.array(words, pa.string())})
                self._send(self.target.private_database, schema.WORDS, rows, {})

    def insert(self, table: Table, rows: pa.Table, token: str) -> None:
        """Insert rows, once though they are sent twice. Returns when they are stored."""
        self._send(self.target.database_of(table), table.name, rows, {"insert_deduplication_token": token})

    def replace(self, name: str, rows: pa.Table) -> None:
        """Insert rows that replace those of their keys, into a table of the open database."""
        self._send(self.target.database, name, rows, {})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _send(self, database: str, name: str, rows: pa.Table, settings: Mapping[str, object]) -> None:
        with told(self.target):
            for pause in (*PAUSES, None):
                try:
                    self._client.insert_arrow(
                        schema.quoted(name), rows, schema.quoted(database), {**_INSERTED_AT_ONCE, **settings}
                    )
                except OperationalError:
                    if pause is None:
                        raise
                    time.sleep(pause)
                else:
                    return

    def _qualified(self, table: Table) -> str:
        return schema.qualified(self.target, table)

    def _missing(self) -> list[str]:
        target = self.target
        sql = f"SELECT database, name FROM system.tables WHERE database IN ({_texts(target)})"
        there = {tuple(row) for row in self._client.query(sql).result_rows}
        made = (each for make in (schema, bookkeeping, old_views) for each in make.names(target))
        return [name for database, name in made if (database, name) not in there]


def connected(target: Target, password: str) -> Connection:
    """Return a connection that was tried. Raises ClickhouseFailed."""
    # What goes wrong is said once, by us.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    with told(target):
        client = clickhouse_connect.get_client(
            host=target.host,
            port=target.port,
            username=target.user,
            password=password,
            secure=target.is_secure,
            autogenerate_session_id=False,
            client_name="completion-aggregator",
        )
    return Connection(target, client)


@contextmanager
def told(target: Target) -> Iterator[None]:
    """Raise ClickhouseFailed for what goes wrong within."""
    try:
        yield
    except OperationalError as error:
        raise ClickhouseFailed(_unreachable(target, error.__cause__ or error)) from error
    except ClickHouseError as error:
        raise ClickhouseFailed(_refused(target, str(error))) from error
    except (HTTPError, pa.ArrowInvalid) as error:
        raise ClickhouseFailed(_unreachable(target, error)) from error


def _unreachable(target: Target, cause: Any) -> str:
    reason = " ".join(str(getattr(cause, "reason", cause)).split()).rpartition(": ")[2]
    return (
        f"{target} cannot be reached, or the connection broke: {reason[:_LONGEST]}."
        " Run it again when it answers: what was committed stays."
    )


def _refused(target: Target, said: str) -> str:
    found = _SAID.search(said)
    text, code = (found[1], found[2]) if found else (said, None)
    if code in _UNKNOWN_USER:
        return f"{target} does not take the user {target.user} with this password: set CLICKHOUSE_PASSWORD"
    return f"{target} refuses: {' '.join(text.split())[:_LONGEST]}"


def _texts(target: Target) -> str:
    return f"'{target.database}', '{target.private_database}'"
