import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completion_aggregator.tracking.ripemd import legacy_anon_id, ripemd160


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        ("", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        ("a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"),
        ("abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        ("message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
        (string.ascii_lowercase, "f71c27109c692c1b56bbdceb5b9d2865b3708dbc"),
        ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "12a053384a9c0c88e405a06c27dcf49ada62eb2b"),
        (
            string.ascii_uppercase + string.ascii_lowercase + string.digits,
            "b0e20b6e3116640286ed3a87a5713079b21f5189",
        ),
        ("1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
    ],
)
def test_the_values_of_the_paper(message, digest):
    assert ripemd160(message.encode()).hex() == digest


@pytest.mark.skipif("ripemd160" not in hashlib.algorithms_available, reason="OpenSSL offers no RIPEMD-160 here")
@given(st.binary(max_size=300))
def test_it_agrees_with_openssl(message):
    try:
        expected = hashlib.new("ripemd160", message)
    except ValueError:
        return
    assert ripemd160(message) == expected.digest()


def test_the_old_name_of_a_learner_is_the_hash_of_the_name():
    assert legacy_anon_id("abc") == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"
    assert legacy_anon_id("alice").startswith("9dbc")
    assert legacy_anon_id("émile") == ripemd160("émile".encode()).hex()
    assert len(legacy_anon_id("\ud800")) == 40
