"""The database of a standalone site, from its URL."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from environ import Env, ImproperlyConfigured

from completion_aggregator.exceptions import InvalidSetting

DEFAULT_NAME: Final = "completion.sqlite3"

SQLITE: Final = "django.db.backends.sqlite3"
MYSQL: Final = "django.db.backends.mysql"
POSTGRESQL: Final = "django.db.backends.postgresql"

ACCEPTED: Final = frozenset({"sqlite", "mysql", "mariadb", "postgres", "postgresql"})
SCHEMES: Final = {SQLITE: "sqlite", MYSQL: "mysql", POSTGRESQL: "postgres"}
# The module that must be there, and the extra that brings it. Of psycopg2, which Django takes too, we cannot copy.
DRIVERS: Final = {MYSQL: ("MySQLdb", "mysql"), POSTGRESQL: ("psycopg", "postgresql")}

# 128 MiB of page cache: bulk writes are 1.5 times as fast as with the default of 2 MB. IMMEDIATE: a transaction that
# reads first and writes later must not find that another process wrote in between.
SQLITE_OPTIONS: Final = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-131072",
}
SQLITE_KNOWS: Final = frozenset({*SQLITE_OPTIONS, "cached_statements", "check_same_thread", "detect_types", "uri"})
MYSQL_OPTIONS: Final = {"charset": "utf8mb4", "isolation_level": "read committed"}


def default_database(home: Path) -> dict[str, Any]:
    """Return the configuration of the SQLite file in the site's folder."""
    return database("sqlite:///" + quote(str(home / DEFAULT_NAME)))


def database(url: str) -> dict[str, Any]:
    """Return Django's configuration for a URL: sqlite, mysql, mariadb or postgres; raise ValueError for another."""
    scheme, _, rest = url.partition("://")
    if scheme not in ACCEPTED:
        raise ValueError(scheme)
    try:
        config = dict(Env.db_url_config(f"mysql://{rest}" if scheme == "mariadb" else url))
    except ImproperlyConfigured as error:
        raise ValueError(scheme) from error
    if not config.get("NAME"):
        raise ValueError("a URL without the name of a database")
    return _with_options(config)


def drivable_database(url: str) -> dict[str, Any]:
    """Return the configuration for a URL, as `database` does; raise InvalidSetting when its driver is missing."""
    config = database(url)
    module, extra = DRIVERS.get(config["ENGINE"], ("", ""))
    if module and not find_spec(module):
        raise InvalidSetting(
            f"DATABASE_URL: {SCHEMES[config['ENGINE']]} needs a driver that is not installed. "
            f"Run: pip install 'completion-aggregator[standalone,{extra}]'"
        )
    return config


def shown(config: dict[str, Any]) -> str:
    """Return the URL of a configuration as a person may see it: without its password."""
    scheme = SCHEMES.get(config["ENGINE"], config["ENGINE"])
    user = f"{config['USER']}{':***' if config.get('PASSWORD') else ''}@" if config.get("USER") else ""
    port = f":{config['PORT']}" if config.get("PORT") else ""
    return f"{scheme}://{user}{config.get('HOST', '')}{port}/{config['NAME']}"


def _with_options(config: dict[str, Any]) -> dict[str, Any]:
    given = config.get("OPTIONS", {})
    if config["ENGINE"] == SQLITE:
        if unknown := given.keys() - SQLITE_KNOWS:
            raise ValueError(f"SQLite has no {', '.join(sorted(unknown))}")
        return config | {"OPTIONS": SQLITE_OPTIONS | given}
    # A connection that the server closed while the service was idle is opened again, not reported.
    config |= {"CONN_MAX_AGE": config.get("CONN_MAX_AGE", 60), "CONN_HEALTH_CHECKS": True}
    if config["ENGINE"] == MYSQL:
        return config | {"OPTIONS": MYSQL_OPTIONS | given, "TEST": {"CHARSET": "utf8mb4"}}
    return config
