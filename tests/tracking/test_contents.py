import gzip
import hashlib
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking import contents
from completion_aggregator.tracking.contents import Content, Lines, TooLong, hashed, head_of, longest_prefix
from completion_aggregator.tracking.errors import Unreadable
from tests.tracking.builders import handed_out, lines, packed, plain

TEXT = lines(40)
#: Does not shrink much, so that a file of it has many blocks.
NOISE = b"\n".join(hashlib.sha256(b"%d" % n).hexdigest().encode() for n in range(8_000))


def content(data):
    return Content(io.BytesIO(data))


def unpacked(data):
    found = content(data)
    return plain(found), found.damage


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        packed(TEXT),
        packed(TEXT[:100], TEXT[100:101], b"", TEXT[101:]),
        packed(TEXT) + b"\0" * 5000,
        packed(TEXT[:100]) + b"\0" * 5000 + packed(TEXT[100:]),
        gzip.compress(TEXT[:77], 9) + gzip.compress(TEXT[77:], 0),
    ],
    ids=["plain", "gzip", "members", "padding", "padding between", "stored"],
)
def test_packing_does_not_change_the_content(data):
    assert unpacked(data) == (TEXT, "")


def test_what_shrinks_a_thousandfold_is_unpacked_in_blocks():
    found = content(packed(b"a" * 30_000_000))
    sizes = [len(block) for block in found.blocks()]
    assert (sum(sizes), max(sizes) <= contents.BLOCK, found.damage) == (30_000_000, True, "")


def test_a_name_in_the_header_does_not_count():
    packed_file = io.BytesIO()
    with gzip.GzipFile("another name", "wb", fileobj=packed_file) as file:
        file.write(TEXT)
    assert unpacked(packed_file.getvalue()) == (TEXT, "")


def test_trash_behind_is_said_and_left_out():
    assert unpacked(packed(TEXT) + b"trash") == (TEXT, "gzip: trash behind it")


def test_a_member_behind_trash_is_taken():
    assert unpacked(packed(TEXT) + b"trash" * 9 + packed(TEXT)) == (TEXT + TEXT, "gzip: trash behind it")


def test_an_empty_file_has_no_lines():
    assert (unpacked(b""), unpacked(packed(b""))) == ((b"", ""), (b"", ""))


@given(cut=st.integers(0, len(packed(TEXT)) - 1), block=st.sampled_from([3, 7, 2**20]))
def test_of_a_file_that_is_cut_the_beginning_comes_out(cut, block):
    data = packed(TEXT)[:cut]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "_PACKED_BLOCK", block)
        out, damage = unpacked(data)
    if cut < 3:
        assert (out, damage) == (data, "")  # nothing says that it is packed
    else:
        assert TEXT.startswith(out)
        assert damage == "gzip: cut"


def test_of_a_file_that_is_cut_nearly_all_comes_out():
    data = packed(NOISE)
    out, _ = unpacked(data[: len(data) // 2])
    assert len(NOISE) * 0.45 < len(out) < len(NOISE) * 0.55


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_of_a_file_that_is_damaged_all_comes_out_that_stands_before(share):
    data = bytearray(packed(NOISE))
    at = int(len(data) * share)
    data[at : at + 300] = b"\xff" * 300
    out, damage = unpacked(bytes(data))
    alike = next((n for n, (one, other) in enumerate(zip(out, NOISE, strict=False)) if one != other), len(out))
    assert damage.startswith("gzip: Error")
    before = zlib.decompressobj(31)
    assert alike >= len(before.decompress(bytes(data[:at]))) - 1000


@pytest.mark.parametrize("damaged", [-1, -6], ids=["length", "checksum"])
def test_a_wrong_sum_loses_nothing(damaged):
    data = bytearray(packed(TEXT))
    data[damaged] ^= 1
    out, damage = unpacked(bytes(data) + packed(b"more"))
    assert (out, damage[:12]) == (TEXT + b"more", "gzip: Error ")


def test_a_member_behind_a_damaged_one_is_taken():
    data = bytearray(packed(NOISE))
    data[len(data) // 2 : len(data) // 2 + 50] = b"\xff" * 50
    out, _ = unpacked(bytes(data) + packed(b"the last\n"))
    assert out.endswith(b"the last\n")


def test_packed_bytes_are_counted_once():
    data = bytearray(packed(NOISE))
    data[-6] ^= 1
    found = content(bytes(data))
    plain(found)
    assert (found.advanced(), found.advanced(), found.packed_bytes) == (len(data), 0, len(data))


def test_what_cannot_be_read_says_why():
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(Unreadable, match=r"^Input/output error$"):
        plain(Content(Broken()))


def test_the_head_is_the_first_line_however_it_is_packed():
    first = hashlib.sha256(TEXT.partition(b"\n")[0]).digest()
    for data in (TEXT, TEXT * 2, packed(TEXT), packed(b"", TEXT[:5], TEXT[5:10], TEXT[10:])):
        assert head_of(content(data)) == first
    assert head_of(content(b"")) == hashlib.sha256(b"").digest()


def test_the_head_of_a_log_that_grows_stays():
    long = b"x" * 100_000
    heads = {head_of(content(data)) for data in (long, long + b"y", long + b"y\nz", packed(long[:9], long[9:]))}
    assert heads == {hashlib.sha256(long[: 2**16]).digest()}


@given(
    data=st.lists(st.sampled_from([b"", b"a", b"bc", b"\r", b"def"]), max_size=12).map(b"\n".join),
    block=st.integers(3, 6),
    start=st.integers(0, 30),
    is_packed=st.booleans(),
)
def test_lines_are_those_of_the_plain_bytes_wherever_blocks_end(data, block, start, is_packed):
    start = min(start, len(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "_PACKED_BLOCK", block)
        patch.setattr(contents, "BLOCK", block)
        found = Lines(content(packed(data) if is_packed else data))
        before = found.skip(start)
        assert (found.length, b"\n".join(before)) == (start, data[:start])
        position, out = start, []
        for each in found:
            assert isinstance(each, list)
            position += sum(len(line) + 1 for line in each)
            assert found.length == position
            assert found.digest() == hashlib.sha256(data[:position]).digest()
            out += each
    *whole, rest = data[start:].split(b"\n")
    assert (out, found.rest) == (whole, rest)
    assert found.take_rest() == rest
    assert (found.length, found.digest(), found.rest) == (len(data), hashlib.sha256(data).digest(), b"")


@given(
    data=st.lists(st.sampled_from([b"", b"abc", b"x" * 9, b"y" * 30]), max_size=8).map(b"\n".join),
    block=st.integers(3, 8),
)
def test_lines_that_are_too_long_are_counted_and_left_out(data, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "_PACKED_BLOCK", block)
        patch.setattr(contents, "_BEGIN", 4)
        found = Lines(content(data), longest=8)
        out = []
        for each in found:
            out += [(line, len(line)) for line in each] if isinstance(each, list) else [(each.begin, each.length)]
            assert found.digest() == hashlib.sha256(data[: found.length]).digest()
    if found.rest:
        out.append((found.rest, len(found.take_rest())))
    wanted = data.split(b"\n")
    if not wanted[-1]:
        wanted.pop()
    assert [length for _, length in out] == [len(each) for each in wanted]
    assert all(each.startswith(begin) for each, (begin, _) in zip(wanted, out, strict=True))
    assert found.length == len(data)


def test_a_line_that_is_too_long_says_how_it_begins():
    found = Lines(content(b"first\n" + b"long" * 300_000 + b"\nlast\n"), longest=1_000_000)
    kinds = [each if isinstance(each, TooLong) else tuple(each) for each in found]
    assert kinds == [(b"first",), TooLong(b"long" * 1024, 1_200_000), (b"last",)]


@pytest.mark.slow
def test_a_line_of_70_mb_is_too_long():
    found = Lines(content(packed(b"x" * 70_000_000 + b"\nlast\n")))
    assert [len(each) for each in handed_out(found)] == [4096, 4]


def test_the_longest_prefix_is_found():
    def prefix(length, data=TEXT):
        return length, hashlib.sha256(data[:length]).digest()

    known = {prefix(100), prefix(300), (300, b"another"), (500, b"another"), prefix(len(TEXT) + 1)}
    assert longest_prefix(content(packed(TEXT)), known) == prefix(300)
    assert longest_prefix(content(TEXT), known | {prefix(len(TEXT))}) == prefix(len(TEXT))
    assert longest_prefix(content(TEXT[:200]), known) == prefix(100)
    assert longest_prefix(content(TEXT[1:]), known) is None
    assert longest_prefix(content(b""), {prefix(0), prefix(5)}) is None


def test_a_file_is_hashed_as_it_is():
    assert hashed(io.BytesIO(packed(TEXT))) == hashlib.sha256(packed(TEXT)).digest()
