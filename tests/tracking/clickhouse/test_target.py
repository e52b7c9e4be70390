import pytest

from completion_aggregator.tracking.clickhouse.target import BadTarget, Target, target_of


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("clickhouse://host/learning", Target("host", 8123, "learning")),
        ("clickhouses://host/learning/", Target("host", 8443, "learning", is_secure=True)),
        ("clickhouse://loader@host:9000/learning", Target("host", 9000, "learning", "loader")),
        ("clickhouse://a%40b@[::1]/learning", Target("::1", 8123, "learning", "a@b")),
        ("clickhouse://host/learning?cluster=main", Target("host", 8123, "learning", cluster="main")),
    ],
)
def test_an_address_names_a_database(text, target):
    assert target_of(text) == target
    assert target_of(str(target)) == target


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clickhouse://a:hidden@host/learning", "a password has no place"),
        ("clickhouse://a:@host/learning", "a password has no place"),
        ("clickhouse://a:hidden@host:x/learning", "cannot be read"),
        ("clickhouse://host", "'' is no name of a database"),
        ("clickhouse://host/a`b", "'a`b' is no name of a database"),
        ("clickhouse://host/a/b", "'a/b' is no name of a database"),
        ("clickhouse:///learning", "is no address of ClickHouse"),
        ("postgres://host/learning", "is no address of ClickHouse"),
        ("learning", "is no address of ClickHouse"),
        ("clickhouse://host/learning?shard=1", "'shard' is no option"),
        ("clickhouse://host/learning?cluster=a'b", "is no name of a cluster"),
        ("clickhouse://host/learning?cluster=", "is no name of a cluster"),
    ],
)
def test_what_names_none_is_refused_and_no_password_repeated(text, said):
    with pytest.raises(BadTarget) as caught:
        target_of(text)
    assert said in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_the_same_database_is_recognised_whoever_asks():
    assert target_of("clickhouse://a@HOST/x").place == target_of("clickhouse://b@host:8123/x").place
    assert target_of("clickhouse://host/x").place != target_of("clickhouse://host/y").place
