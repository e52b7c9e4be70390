import pytest

from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone import cache as module
from completion_aggregator.platforms.standalone.cache import cache, drivable_cache


@pytest.mark.parametrize(
    ("url", "backend", "location"),
    [
        ("redis://:p%40@host:6379/1", "RedisCache", "redis://:p%40@host:6379/1"),
        ("rediss://host", "RedisCache", "rediss://host"),
        ("redis://a:1,b:2/3", "RedisCache", ["redis://a:1/3", "redis://b:2/3"]),
        ("redis:///run/redis.sock", "RedisCache", "unix:///run/redis.sock"),
        ("memcache://host:11211", "memcached.PyMemcacheCache", "host:11211"),
        ("memcache:///run/memcached.sock", "memcached.PyMemcacheCache", "unix:/run/memcached.sock"),
        ("filecache:///srv/cache", "filebased.FileBasedCache", "/srv/cache"),
        ("locmemcache://", "locmem.LocMemCache", ""),
        ("dummycache://", "dummy.DummyCache", ""),
    ],
)
def test_urls_of_every_supported_cache(url, backend, location):
    config = cache(url)
    assert config["BACKEND"].endswith(f".{backend}")
    assert config["LOCATION"] == location


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "redis:host",
        "redis://",
        "redis://:6379",
        "redis://a,,b",
        "redis://host:port/1",
        "redis://host:0",
        "memcache://host:99999",
        "memcache:///",
        "dbcache://a_table",
        "http://host",
    ],
)
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match=r".*"):
        cache(url)


@pytest.mark.parametrize(
    ("scheme", "package"),
    [
        ("redis", r"'completion-aggregator\[standalone,redis\]'"),
        ("rediss", r"'completion-aggregator\[standalone,redis\]'"),
        ("memcache", "pymemcache"),
    ],
)
def test_a_driver_that_is_missing_is_named_by_what_brings_it(monkeypatch, scheme, package):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        InvalidSetting, match=rf"^CACHE_URL: {scheme} needs a driver .* pip install {package}$"
    ) as error:
        drivable_cache(f"{scheme}://:hunter2@host")
    assert "hunter2" not in str(error.value)


def test_a_cache_with_its_driver_or_without_need_of_one_is_taken(monkeypatch):
    monkeypatch.setattr(module, "find_spec", {"redis": object()}.get)
    urls = ["redis://host", "locmemcache://", "filecache:///srv/cache"]
    assert [drivable_cache(url) for url in urls] == [cache(url) for url in urls]
