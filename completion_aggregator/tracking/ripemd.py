"""RIPEMD-160, by which json_to_relation named learners; current OpenSSL no longer offers it.

After H. Dobbertin, A. Bosselaers, B. Preneel: RIPEMD-160, a strengthened version of RIPEMD (1996), appendix A; the
tests hold its test values. It protects nobody: whoever has a list of names can undo it. It is for joining old tables.
"""

import struct
from functools import lru_cache
from typing import Final

_MASK: Final = 0xFFFFFFFF
_START: Final = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)

#: For both lines of 80 steps: the constant of each round, the word and the rotation of each step.
_LEFT_CONSTANTS: Final = (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_RIGHT_CONSTANTS: Final = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000)
_RHO: Final = (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8)
#: Rotations by the word, one row for each round.
_ROTATIONS: Final = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7),
    (13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9),
    (14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6),
    (15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5),
)


def _orders(words: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return which word each step of the five rounds takes: each round permutes the order of the one before."""
    orders = [words]
    for _ in range(4):
        orders.append(tuple(_RHO[word] for word in orders[-1]))
    return tuple(orders)


_LEFT_ORDERS: Final = _orders(tuple(range(16)))
_RIGHT_ORDERS: Final = _orders(tuple((9 * word + 5) % 16 for word in range(16)))


def ripemd160(message: bytes) -> bytes:
    """Return the 20 bytes of the hash."""
    padding = b"\x80" + bytes((55 - len(message)) % 64) + struct.pack("<Q", 8 * len(message) & (2**64 - 1))
    state = _START
    for words in struct.iter_unpack("<16I", message + padding):
        a, b, c, d, e = _line(state, words, _LEFT_ORDERS, _LEFT_CONSTANTS, functions=(0, 1, 2, 3, 4))
        f, g, h, i, j = _line(state, words, _RIGHT_ORDERS, _RIGHT_CONSTANTS, functions=(4, 3, 2, 1, 0))
        one, two, three, four, five = state
        added = (two + c + i, three + d + j, four + e + f, five + a + g, one + b + h)
        state = tuple(each & _MASK for each in added)  # type: ignore[assignment] # five, as before
    return struct.pack("<5I", *state)


@lru_cache(maxsize=100_000)
def legacy_anon_id(username: str) -> str:
    """Return the ``anon_screen_name`` that json_to_relation gave a user."""
    return ripemd160(username.encode("utf-8", "surrogatepass")).hex()


_State = tuple[int, int, int, int, int]


def _line(
    state: _State,
    words: tuple[int, ...],
    orders: tuple[tuple[int, ...], ...],
    constants: tuple[int, ...],
    *,
    functions: tuple[int, ...],
) -> _State:
    a, b, c, d, e = state
    for at, (order, constant, function) in enumerate(zip(orders, constants, functions, strict=True)):
        rotations = _ROTATIONS[at]
        for word in order:
            total = (a + _mixed(function, b, c, d) + words[word] + constant) & _MASK
            a, e, d, c, b = e, d, _rotated(c, 10), b, (_rotated(total, rotations[word]) + e) & _MASK
    return a, b, c, d, e


def _mixed(function: int, x: int, y: int, z: int) -> int:
    if function == 0:
        return x ^ y ^ z
    if function == 1:
        return (x & y) | (~x & z)
    if function == 2:
        return (x | ~y) ^ z
    if function == 3:
        return (x & z) | (y & ~z)
    return x ^ (y | ~z)


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK
