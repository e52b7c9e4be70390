import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.dump import DamagedDump
from completion_aggregator.tracking.dump.window import open_dump
from completion_aggregator.tracking.refresh.bson import DEEPEST, BrokenDocument, decode, documents
from tests.tracking.refresh.bson_writing import ObjectId, encode

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.builds(ObjectId, st.binary(min_size=12, max_size=12))
    | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def plain(value):
    match value:
        case ObjectId():
            return value.data.hex()
        case list():
            return [plain(each) for each in value]
        case dict():
            return {name: plain(each) for name, each in value.items()}
    return value


@given(document=st.dictionaries(NAMES, VALUES))
def test_a_document_comes_back_as_it_was_written(document):
    assert decode(encode(document)) == plain(document)


@given(document=st.dictionaries(NAMES, VALUES), place=st.integers(0), byte=st.integers(0, 255))
def test_a_changed_byte_gives_a_document_or_a_broken_one(document, place, byte):
    data = bytearray(encode(document))
    data[place % len(data)] = byte
    try:
        assert isinstance(decode(bytes(data)), dict)
    except BrokenDocument:
        return


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_broken_one(data):
    try:
        assert isinstance(decode(struct.pack("<i", len(data) + 5) + data + b"\0"), dict)
    except BrokenDocument:
        return


@given(document=st.dictionaries(NAMES, VALUES))
def test_what_mongodb_s_own_writer_writes_is_read(document):
    bson = pytest.importorskip("bson")

    def theirs(value):
        if isinstance(value, ObjectId):
            return bson.ObjectId(value.data)
        if isinstance(value, list):
            return [theirs(each) for each in value]
        return {name: theirs(each) for name, each in value.items()} if isinstance(value, dict) else value

    assert decode(bson.encode(theirs(document))) == plain(document)


def element(kind, data):
    inner = bytes([kind]) + b"v\0" + data
    return struct.pack("<i", len(inner) + 5) + inner + b"\0"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (element(0x06, b""), None),
        (element(0x0B, b"^a\0i\0"), "^a"),
        (element(0x0C, struct.pack("<i", 2) + b"c\0" + bytes(range(12))), bytes(range(12)).hex()),
        (element(0x0D, struct.pack("<i", 2) + b"f\0"), "f"),
        (element(0x0E, struct.pack("<i", 2) + b"s\0"), "s"),
        (element(0x11, struct.pack("<q", 5)), 5),
        (element(0x13, bytes(16)), bytes(16)),
        (element(0x7F, b""), None),
        (element(0xFF, b""), None),
        (element(0x09, struct.pack("<q", 2**62)), None),
        (element(0x09, struct.pack("<q", 0)), datetime(1970, 1, 1, tzinfo=UTC)),
        (element(0x0F, struct.pack("<i", 8) + b"code"), struct.pack("<i", 8) + b"code"),
    ],
)
def test_rare_types_are_read(data, value):
    assert decode(data) == {"v": value}


def test_nesting_has_an_end():
    deep: dict[str, object] = {}
    for _ in range(DEEPEST + 2):
        deep = {"in": deep}
    with pytest.raises(BrokenDocument, match="nested without end"):
        decode(encode(deep))


def read(tmp_path, data):
    path = tmp_path / "contents.bson"
    path.write_bytes(data)
    with open_dump(path) as window:
        return list(documents(window))


def test_one_broken_document_does_not_hide_those_after_it(tmp_path):
    broken = element(0x77, b"????")
    assert read(tmp_path, encode({"a": 1}) + broken + encode({"b": "x" * 3_000_000})) == [
        {"a": 1},
        None,
        {"b": "x" * 3_000_000},
    ]
    assert read(tmp_path, b"") == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode({"a": 1})[:-1], "it ends in the middle of a document"),
        (encode({"a": 1}) + b"\0\0", "it ends in the middle of a document"),
        (b"CREATE TABLE `t` (`id` int);", "this is no collection dumped by mongodump"),
        (b"\6\0\0\0" * 3, "it ends in the middle of a document"),
        (b"\x6d\xe2\x99\x81" * 3, "dump without --archive"),
    ],
)
def test_what_is_no_sequence_of_documents_says_where_it_ends(tmp_path, data, message):
    if data.startswith(b"\6"):
        data = b"\6\0\0\0\0\0" + b"\xff"
    with pytest.raises(DamagedDump, match=f"contents.bson, byte [0-9,]+: .*{message}"):
        read(tmp_path, data)
