"""The country of an address, from a database in MaxMind's format that the site brings along."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import maxminddb

from completion_aggregator.tracking.errors import TrackingError

_REMEMBERED: Final = 100_000
_UNKNOWN: Final = ""


class UnusableCountries(TrackingError):
    """The database of countries cannot be read; the message says why and what would work."""


class Countries:
    """Tell the country of addresses; without a database of no address."""

    __slots__ = ("_met", "_reader")

    def __init__(self, path: Path | None) -> None:
        self._met: dict[str, str] = {}
        self._reader = _opened(path) if path is not None else None

    @property
    def is_open(self) -> bool:
        """Whether there is a database."""
        return self._reader is not None

    def code(self, ip: str) -> str | None:
        """Return the ISO 3166 code, None where the database has none or this is no address."""
        if self._reader is None:
            return None
        found = self._met.get(ip)
        if found is None:
            if len(self._met) >= _REMEMBERED:
                self._met.clear()
            found = self._met[ip] = _looked_up(self._reader, ip)
        return found or None


def _opened(path: Path) -> maxminddb.Reader:
    try:
        # Shared between processes by the system, and none of it is read before it is asked for.
        return maxminddb.open_database(path, maxminddb.MODE_AUTO)
    except FileNotFoundError:
        raise UnusableCountries(f"There is no database of countries at {path}.") from None
    except (maxminddb.InvalidDatabaseError, ValueError):
        raise UnusableCountries(
            f"{path} is no database of countries: a file in MaxMind's format (.mmdb) such as GeoLite2-Country is"
            " needed, unpacked."
        ) from None
    except OSError as error:
        raise UnusableCountries(f"The database of countries at {path} cannot be read: {error.strerror}.") from None


def _looked_up(reader: maxminddb.Reader, ip: str) -> str:
    if not ip.isascii():
        return _UNKNOWN
    # Proxies add a list of addresses, ports and zones; a damaged branch of the tree is a country that nobody knows.
    with suppress(ValueError, maxminddb.InvalidDatabaseError):
        record: Any = reader.get(ip.strip())
        for name in ("country", "registered_country") if isinstance(record, dict) else ():
            country = record.get(name)
            code = country.get("iso_code") if isinstance(country, dict) else None
            if isinstance(code, str) and code:
                return code
    return _UNKNOWN
