"""How the site is reached, over TLS or without: the settings of Django that follow from it."""

from typing import Any, Final

from completion_aggregator.platforms.standalone import environment

#: So long a browser that came once comes over TLS alone. Doubtful certificates can be mended in less.
HSTS_SECONDS: Final = 30 * 24 * 3600


def django_settings() -> dict[str, Any]:
    """Return the settings. Whether a request came over TLS is said by the server, which knows which proxy to believe.

    So SECURE_PROXY_SSL_HEADER stays unset: it would believe whoever sends a header.
    """
    https = environment.flag("HTTPS", default=False)
    seconds = environment.read(
        "HSTS_SECONDS", environment.parse_count_or_none, HSTS_SECONDS, expected="a whole number, or 0 for none"
    )
    return {
        "SESSION_COOKIE_SECURE": https,
        "CSRF_COOKIE_SECURE": https,
        "SECURE_SSL_REDIRECT": https,
        "SECURE_HSTS_SECONDS": seconds if https else 0,
        # Both speak of other sites: those of subdomains, and the lists of browsers. The owner of the domain decides
        # that, at the proxy.
        "SILENCED_SYSTEM_CHECKS": ["security.W005", "security.W021"],
    }
