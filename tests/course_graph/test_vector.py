"""Completion vectors: every double survives, damage is named, batches read fast and small."""

import struct
from collections.abc import Sequence
from itertools import pairwise
from math import isnan
from zlib import crc32

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from completion_aggregator.course_graph.vector import Unpacked, pack, unpack, unpack_one
from completion_aggregator.exceptions import DamagedVector
from tests.course_graph.strategies import NASTY

Floats = NDArray[np.float64]
NOTHING = float("nan")
WIDE = 65_536

doubles = st.one_of(
    st.just(NOTHING), st.just(1.0), st.sampled_from([*NASTY, -0.0, -1.0, float("inf")]), st.floats(allow_nan=False)
)
tables = arrays.arrays(
    np.float64, st.tuples(st.integers(0, 6), st.integers(0, 40)), elements=doubles, fill=st.just(NOTHING)
)


def table(*learners: Sequence[float]) -> Floats:
    return np.array(learners, dtype=np.float64)


def bits(values: Floats) -> list[list[str]]:
    """Return what tells any two doubles apart; all NaN, which mean absence, as one."""
    return [["absent" if isnan(value) else value.hex() for value in row] for row in values.tolist()]


def dense(unpacked: Unpacked, leaf_numbers: int) -> Floats:
    return unpacked.dense(np.arange(leaf_numbers), absent=NOTHING).T


def from_sparse(unpacked: Unpacked, leaf_numbers: int) -> Floats:
    bounds, numbers, values = unpacked.sparse()
    found = np.full((len(bounds) - 1, leaf_numbers), NOTHING)
    for learner, (start, stop) in enumerate(pairwise(bounds.tolist())):
        assert np.isnan(found[learner, numbers[start:stop]]).all()
        found[learner, numbers[start:stop]] = values[start:stop]
    return found


def recompute_checksum(vector: bytes) -> bytes:
    start = 13 if vector[0] == 3 else 9
    checksum = crc32(vector[start:], crc32(vector[:1] + bytes(4) + vector[5:start]))
    return vector[:1] + struct.pack("<I", checksum) + vector[5:]


def version_1(values: Sequence[float], *, width: int = 2) -> bytes:
    """Return the vector that the first version wrote of a learner."""
    bitmap = np.packbits(np.array(values) == 1.0, bitorder="little").tobytes().rstrip(b"\0")
    others = {number: value for number, value in enumerate(values) if not isnan(value) and value != 1.0}
    body = bitmap + struct.pack(f"<{len(others)}{'H' if width == 2 else 'I'}", *others)
    body += struct.pack(f"<{len(others)}d", *others.values())
    fields = struct.pack("<BBII", 1, width, len(bitmap), len(others))
    return fields + struct.pack("<I", crc32(body, crc32(fields))) + body


# --- what goes in comes out ----------------------------------------------------------------------------------------


@given(tables)
@example(np.full((3, 9), NOTHING))
@example(np.ones((3, 9)))
@example(np.zeros((3, 9)))
def test_every_double_survives_and_so_does_absence(values: Floats) -> None:
    unpacked = unpack(pack(values))

    assert unpacked.damaged == ()
    assert bits(dense(unpacked, values.shape[1])) == bits(values)
    assert bits(from_sparse(unpacked, values.shape[1])) == bits(values)


@given(tables)
def test_a_vector_is_that_of_its_learner_alone(values: Floats) -> None:
    assert pack(values) == [vector for row in values for vector in pack(row[None, :])]


@given(tables)
def test_equal_completions_have_equal_vectors_however_many_leaf_numbers_there_are(values: Floats) -> None:
    wider = np.concatenate([values, np.full((len(values), 11), NOTHING)], axis=1)

    assert pack(wider) == pack(values)


def test_every_bit_pattern_survives() -> None:
    generator = np.random.default_rng(1)
    values = generator.integers(0, 2**64, size=(20, 3000), dtype=np.uint64).view(np.float64)

    assert bits(dense(unpack(pack(values)), 3000)) == bits(values)


@pytest.mark.parametrize("number", [WIDE - 1, WIDE, WIDE + 1, 200_000])
def test_leaf_numbers_beyond_16_bits_survive(number: int) -> None:
    values = np.full((2, number + 1), NOTHING)
    values[0, [0, number]] = 0.3, 0.1
    values[1, [1, number]] = 0.25, 1.0

    assert bits(dense(unpack(pack(values)), number + 1)) == bits(values)


def test_narrow_and_wide_vectors_are_read_together() -> None:
    values = np.full((4, WIDE + 2), NOTHING)
    values[0, 5], values[1, WIDE + 1], values[2, 7], values[3, WIDE] = 0.1, 0.2, 0.3, 0.4

    assert bits(from_sparse(unpack(pack(values)), WIDE + 2)) == bits(values)


# --- asking ----------------------------------------------------------------------------------------------------------


@given(tables, st.data())
def test_leaf_numbers_may_be_asked_for_in_any_order(values: Floats, data: st.DataObject) -> None:
    beyond = values.shape[1] + 20
    numbers = np.array(data.draw(st.lists(st.integers(0, beyond), unique=True)), dtype=np.intp)
    padded = np.concatenate([values, np.full((len(values), 21), NOTHING)], axis=1)

    assert bits(unpack(pack(values)).dense(numbers, absent=NOTHING)) == bits(padded[:, numbers].T)


def test_what_is_absent_counts_as_nothing_unless_told_otherwise() -> None:
    unpacked = unpack(pack(table([NOTHING, 1.0, 0.5])))

    assert unpacked.dense(np.array([2, 1, 0, 99])).tolist() == [[0.5], [1.0], [0.0], [0.0]]
    assert unpacked.dense(np.array([2, 1, 0, 99]), absent=-1.0).tolist() == [[0.5], [1.0], [-1.0], [-1.0]]


def test_a_completion_of_zero_is_not_absence() -> None:
    unpacked = unpack(pack(table([0.0, NOTHING])))

    assert bits(dense(unpacked, 2)) == bits(table([0.0, NOTHING]))


def test_sparse_lists_what_is_complete_before_the_rest() -> None:
    bounds, numbers, values = unpack(
        pack(table([0.5, 1.0, 0.25, 1.0], [NOTHING] * 4, [1.0, 0.0, NOTHING, 1.0]))
    ).sparse()

    assert bounds.tolist() == [0, 4, 4, 7]
    assert numbers.tolist() == [1, 3, 0, 2, 0, 3, 1]
    assert values.tolist() == [1.0, 1.0, 0.5, 0.25, 1.0, 1.0, 0.0]


def test_no_vectors_are_no_learners() -> None:
    unpacked = unpack([])
    bounds, numbers, values = unpacked.sparse()

    assert pack(np.zeros((0, 5))) == []
    assert unpacked.dense(np.arange(3)).shape == (3, 0)
    assert (bounds.tolist(), numbers.tolist(), values.tolist()) == ([0], [], [])
    assert unpacked.damaged == ()


def test_a_course_without_leaves_has_vectors() -> None:
    vectors = pack(np.zeros((2, 0)))
    unpacked = unpack(vectors)

    assert vectors == pack(np.full((2, 7), NOTHING))
    assert unpacked.damaged == ()
    assert unpacked.dense(np.arange(0)).shape == (0, 2)
    assert unpacked.sparse()[0].tolist() == [0, 0, 0]


def test_one_vector_is_read_alone() -> None:
    (vector,) = pack(table([0.5, 1.0]))

    assert unpack_one(vector).dense(np.arange(2)).tolist() == [[0.5], [1.0]]


# --- damage ----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_damaged_vectors_are_named_and_the_others_read(data: st.DataObject) -> None:
    values = data.draw(tables.filter(len))
    vectors = pack(values)
    broken = data.draw(st.sets(st.integers(0, len(vectors) - 1), min_size=1))
    for row in broken:
        vectors[row] = data.draw(damaged(vectors[row]))

    unpacked = unpack(vectors)

    expected = values.copy()
    expected[sorted(broken)] = NOTHING
    assert unpacked.damaged == tuple(sorted(broken))
    assert bits(dense(unpacked, values.shape[1])) == bits(expected)
    assert bits(from_sparse(unpacked, values.shape[1])) == bits(expected)


def damaged(vector: bytes) -> st.SearchStrategy[bytes]:
    """Bytes that are nearly *vector*."""
    places = st.integers(0, len(vector) - 1)
    return st.one_of(
        st.builds(
            lambda at, bit: vector[:at] + bytes([vector[at] ^ (1 << bit)]) + vector[at + 1 :], places, st.integers(0, 7)
        ),
        places.map(lambda at: vector[:at]),
        places.map(lambda at: vector[:at] + vector[at + 1 :]),
        st.binary(min_size=1, max_size=9).map(lambda more: vector + more),
        st.binary(max_size=40).filter(lambda noise: noise != vector),
    )


def test_every_single_flipped_bit_is_noticed() -> None:
    (vector,) = pack(table([1.0, 0.3, NOTHING, 0.0, 1.0]))
    flipped = [
        vector[:at] + bytes([vector[at] ^ (1 << bit)]) + vector[at + 1 :]
        for at in range(len(vector))
        for bit in range(8)
    ]

    assert unpack(flipped).damaged == tuple(range(len(flipped)))


def test_every_shortened_vector_is_noticed() -> None:
    (vector,) = pack(table([1.0, 0.3, NOTHING, 0.0, 1.0]))

    assert unpack([vector[:length] for length in range(len(vector))]).damaged == tuple(range(len(vector)))


@pytest.mark.parametrize("version", [0, 3, 4, 255])
def test_what_another_version_wrote_is_refused_however_sound(version: int) -> None:
    (vector,) = pack(table([1.0, 0.3]))
    other = bytes([version]) + vector[1:]

    assert unpack([recompute_checksum(vector)]).damaged == ()
    assert unpack([recompute_checksum(other)]).damaged == (0,)


@pytest.mark.parametrize("field", [5, 7])
@pytest.mark.parametrize("length", [b"\xff\xff", b"\x00\x00"])
def test_lengths_that_do_not_add_up_are_refused_before_anything_is_allocated(field: int, length: bytes) -> None:
    (vector,) = pack(table([1.0, 0.3]))
    other = vector[:field] + length + vector[field + 2 :]

    assert unpack([recompute_checksum(other)]).damaged == (0,)


# --- the first version -----------------------------------------------------------------------------------------------


@given(tables)
def test_vectors_of_the_first_version_are_read(values: Floats) -> None:
    narrow, wide = ([version_1(row, width=width) for row in values.tolist()] for width in (2, 4))

    for vectors in (narrow, wide):
        assert unpack(vectors).damaged == ()
        assert bits(dense(unpack(vectors), values.shape[1])) == bits(values)
    assert bits(dense(unpack([*narrow, *pack(values)]), values.shape[1])) == bits(np.concatenate([values, values]))


def test_damage_to_a_vector_of_the_first_version_is_noticed() -> None:
    vector = version_1([1.0, 0.3, NOTHING, 0.0, 1.0])
    flipped = [
        vector[:at] + bytes([vector[at] ^ (1 << bit)]) + vector[at + 1 :]
        for at in range(len(vector))
        for bit in range(8)
    ]
    cut = [vector[:length] for length in range(len(vector))]

    assert unpack([*flipped, *cut]).damaged == tuple(range(len(flipped) + len(cut)))


@pytest.mark.parametrize("vector", [b"", b"\x01", b"\x00" * 14, b"not a vector at all"])
def test_a_damaged_vector_read_alone_is_an_error(vector: bytes) -> None:
    with pytest.raises(DamagedVector, match=f"These {len(vector)} bytes are no completion vector"):
        unpack_one(vector)


# --- size ------------------------------------------------------------------------------------------------------------


def test_372_completions_of_960_leaves_take_less_than_200_bytes() -> None:
    generator = np.random.default_rng(1)
    values = np.full((50, 960), NOTHING)
    for learner in values:
        done = generator.choice(960, 372, replace=False)
        learner[done] = 1.0
        learner[done[:19]] = generator.choice([0.25, 0.5, 0.75], 19)  # one in twenty is partial

    assert max(map(len, pack(values))) < 200


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 8, 10, 12, 20, 60])
def test_usual_fractions_take_a_byte_each_beside_that_of_their_place(count: int) -> None:
    values = table([part / count for part in range(count)])

    assert len(pack(values)[0]) == 9 + 2 * count
    assert bits(dense(unpack(pack(values)), count)) == bits(values)


def test_a_learner_who_began_at_the_front_takes_few_bytes() -> None:
    values = np.full((1, 3000), NOTHING)
    values[0, :8] = 1.0

    assert len(pack(values)[0]) == 10


def test_lengths_beyond_16_bits_have_room() -> None:
    values = np.full((1, 8 * 65_536), NOTHING)
    values[0, [0, 300, 8 * 65_536 - 1]] = 0.3, 0.5, 1.0
    (vector,) = pack(values)

    assert vector[0] == 3
    assert bits(dense(unpack([vector]), values.shape[1])) == bits(values)
    assert unpack([vector[:8], vector[:-1], vector + b"\0"]).damaged == (0, 1, 2)
