"""Addresses of databases in ClickHouse: ``clickhouse://user@host:8123/database?cluster=name``."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from completion_aggregator.tracking.errors import TrackingError
from completion_aggregator.tracking.tables import Table

_PORTS: Final = {"clickhouse": 8123, "clickhouses": 8443}
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXAMPLE: Final = "clickhouse://user@host:8123/database, or clickhouses:// for https"


class BadTarget(TrackingError):
    """This is no address of a database in ClickHouse."""


@dataclass(frozen=True, slots=True)
class Target:
    """A database in ClickHouse; the private tables have one of their own beside it."""

    host: str
    port: int
    database: str
    user: str = "default"
    is_secure: bool = False
    cluster: str | None = None

    @property
    def private_database(self) -> str:
        """The database of the private tables, for which rights are given apart."""
        return f"{self.database}_private"

    @property
    def place(self) -> tuple[str, int, str]:
        """What two addresses of the same database share, whoever asks."""
        return self.host.lower(), self.port, self.database

    def database_of(self, table: Table) -> str:
        """Return the database in which a table is."""
        return self.private_database if table.is_private else self.database

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        cluster = f"?cluster={self.cluster}" if self.cluster else ""
        scheme = "clickhouses" if self.is_secure else "clickhouse"
        return f"{scheme}://{quote(self.user, safe='')}@{host}:{self.port}/{self.database}{cluster}"


def target_of(text: str) -> Target:
    """Return the database that an address names. Raises BadTarget, whose message has no password in it."""
    try:
        url = urlsplit(text)
        port = url.port or _PORTS.get(url.scheme)
        options = parse_qs(url.query, keep_blank_values=True, strict_parsing=True) if url.query else {}
    except ValueError as error:
        raise BadTarget(f"the address of ClickHouse cannot be read; it is written {_EXAMPLE}") from error
    if url.password is not None:
        raise BadTarget("a password has no place in an address, where others see it: set CLICKHOUSE_PASSWORD")
    if not port or not url.hostname or url.fragment:
        raise BadTarget(f"{text} is no address of ClickHouse; it is written {_EXAMPLE}")
    user = unquote(url.username or "default")
    return Target(url.hostname, port, _database(url.path), user, url.scheme == "clickhouses", _cluster(options))


def _database(path: str) -> str:
    name = path.strip("/")
    if not _NAME.fullmatch(name):
        raise BadTarget(f"{name!r} is no name of a database: letters, digits and _; the address is written {_EXAMPLE}")
    return name


def _cluster(options: dict[str, list[str]]) -> str | None:
    for name in options:
        if name != "cluster":
            raise BadTarget(f"{name!r} is no option of an address of ClickHouse: there is ?cluster=NAME, no other")
    cluster = options.get("cluster", [None])[-1]
    if cluster is not None and not re.fullmatch(r"[\w.-]+", cluster):
        raise BadTarget(f"{cluster!r} is no name of a cluster")
    return cluster
