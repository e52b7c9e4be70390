import ipaddress
from pathlib import Path
from typing import Any

import pytest

from completion_aggregator.tracking import countries
from completion_aggregator.tracking.countries import Countries, UnusableCountries

DATABASE = {
    "81.2.69.0/24": {"country": {"iso_code": "GB"}},
    "10.0.0.0/8": {"registered_country": {"iso_code": "FR"}},
    "12.0.0.0/8": {"country": {"names": "nowhere"}, "registered_country": {"iso_code": "US"}},
    "13.0.0.0/8": {"country": "DE"},
    "2001:db8::/32": {"country": {"iso_code": "JP"}},
}


class Number(int):
    """A number with the type that the format wants: 5, 6 and 9 have 2, 4 and 8 bytes."""

    kind = 6


class Short(Number):
    kind = 5


class Long(Number):
    kind = 9


def written(value: Any) -> bytes:
    """Return a value as the data section holds it; sizes below 29 only."""
    if isinstance(value, dict):
        return bytes([0xE0 | len(value)]) + b"".join(written(part) for item in value.items() for part in item)
    if isinstance(value, str):
        return bytes([0x40 | len(value)]) + value.encode()
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(written(each) for each in value)
    assert isinstance(value, Number)
    size = {5: 2, 6: 4, 9: 8}[value.kind]
    head = bytes([value.kind << 5 | size]) if value.kind < 7 else bytes([size, value.kind - 7])
    return head + value.to_bytes(size, "big")


def mmdb(records: dict[str, Any]) -> bytes:
    """Return a database with a tree of IPv6, in which IPv4 stands below ::/96."""
    tree: list[list[Any]] = [[None, None]]
    data, places = b"", []
    for network, record in records.items():
        places.append(len(data))
        data += written(record)
        net = ipaddress.ip_network(network)
        bits = net.prefixlen + (96 if net.version == 4 else 0)
        number, node = int(net.network_address), 0
        for at in range(bits):
            bit = number >> (127 - at) & 1
            if at == bits - 1:
                tree[node][bit] = ("data", places[-1])
            elif tree[node][bit] is None:
                tree.append([None, None])
                tree[node][bit] = len(tree) - 1
            node = tree[node][bit] if at < bits - 1 else node
    count = len(tree)

    def pointer(branch: Any) -> bytes:
        if isinstance(branch, tuple):
            return int(count + 16 + branch[1]).to_bytes(3, "big")
        return int(count if branch is None else branch).to_bytes(3, "big")

    metadata = {
        "node_count": Number(count), "record_size": Short(24), "ip_version": Short(6), "database_type": "Test",
        "languages": [],
        "binary_format_major_version": Short(2), "binary_format_minor_version": Short(0), "build_epoch": Long(1),
         "description": {},
    }  # fmt: skip
    nodes = b"".join(pointer(branch) for node in tree for branch in node)
    return nodes + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + written(metadata)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "countries.mmdb"
    path.write_bytes(mmdb(DATABASE))
    return path


@pytest.mark.parametrize(
    ("ip", "code"),
    [
        ("81.2.69.142", "GB"),
        (" 81.2.69.142 ", "GB"),
        ("10.9.8.7", "FR"),
        ("12.1.1.1", "US"),
        ("2001:db8::1", "JP"),
        ("13.1.1.1", None),
        ("99.1.1.1", None),
        ("", None),
        ("unknown", None),
        ("81.2.69.142, 10.0.0.1", None),
        ("81.2.69.142:80", None),
        ("\ud800", None),
    ],
)
def test_the_country_of_an_address_is_told(database: Path, ip: str, code: str | None):
    subject = Countries(database)
    assert (subject.code(ip), subject.code(ip)) == (code, code)


def test_without_a_database_no_country_is_known():
    assert Countries(None).code("81.2.69.142") is None


def test_memory_is_bounded(database: Path, monkeypatch):
    monkeypatch.setattr(countries, "_REMEMBERED", 3)
    subject = Countries(database)
    assert [subject.code(f"10.0.0.{n}") for n in range(9)] == ["FR"] * 9
    assert len(subject._met) <= 3


@pytest.mark.parametrize("content", [b"", b"text", bytes(100_000), b"\x1f\x8b\x08\x00 packed"])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "countries.mmdb"
    path.write_bytes(content)
    with pytest.raises(UnusableCountries, match="is no database of countries"):
        Countries(path)


def test_a_missing_database_is_told(tmp_path: Path):
    with pytest.raises(UnusableCountries, match="no database of countries at"):
        Countries(tmp_path / "none.mmdb")
    (tmp_path / "file").touch()
    with pytest.raises(UnusableCountries, match="cannot be read: Not a directory"):
        Countries(tmp_path / "file" / "x.mmdb")


def test_a_damaged_branch_is_no_country(database: Path):
    whole = database.read_bytes()
    at = whole.index(b"\xab\xcd\xefMaxMind.com")
    broken = database.with_name("broken.mmdb")
    broken.write_bytes(whole[: at - 60] + bytes(b"\xff" * 60) + whole[at:])
    subject = Countries(broken)
    assert {subject.code(ip) for ip in ("81.2.69.142", "10.9.8.7", "2001:db8::1")} <= {None, "GB", "FR"}
