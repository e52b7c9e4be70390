"""The cache of a standalone site, from its URL."""

from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlsplit

from environ import Env, ImproperlyConfigured

from completion_aggregator.exceptions import InvalidSetting

#: Not those of the parser that nothing can use: Django has no backend for them, or they need a table that nobody makes.
ACCEPTED: Final = frozenset({"redis", "rediss", "memcache", "locmemcache", "filecache", "dummycache"})
MEMCACHED: Final = "django.core.cache.backends.memcached.PyMemcacheCache"
#: The module that must be there, and what to install when it is not.
DRIVERS: Final = {
    "redis": ("redis", "'completion-aggregator[standalone,redis]'"),
    "rediss": ("redis", "'completion-aggregator[standalone,redis]'"),
    "memcache": ("pymemcache", "pymemcache"),
}


def cache(url: str) -> dict[str, Any]:
    """Return Django's configuration for a URL: redis, memcache or one without a server; raise ValueError for others."""
    scheme = url.partition("://")[0]
    if scheme not in ACCEPTED:
        raise ValueError(scheme)
    if scheme in DRIVERS:
        _check_servers(url)
    try:
        return dict(Env.cache_url_config(url, backend=MEMCACHED if scheme == "memcache" else None))
    except ImproperlyConfigured as error:
        raise ValueError(scheme) from error


def drivable_cache(url: str) -> dict[str, Any]:
    """Return the configuration for a URL, as `cache` does; raise InvalidSetting when its driver is missing."""
    config, scheme = cache(url), url.partition("://")[0]
    module, package = DRIVERS.get(scheme, ("", ""))
    if module and find_spec(module) is None:
        raise InvalidSetting(f"CACHE_URL: {scheme} needs a driver that is not installed. Run: pip install {package}")
    return config


def _check_servers(url: str) -> None:
    """Raise ValueError where a server has no name, or a port that is none: the driver would say so to each request."""
    parts = urlsplit(url)
    if not parts.netloc and parts.path.strip("/"):
        return  # a socket of this machine
    for server in parts.netloc.split(","):
        place = urlsplit(f"//{server}")
        if not place.hostname or place.port == 0:
            raise ValueError("a URL without a server")
