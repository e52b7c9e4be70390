"""Serve the site, and keep progress current beside it."""

import os
import signal
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.platforms.standalone.service import running_service

EVERYBODY: Final = "*"
THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
#: More than Django takes: beyond it, a body is refused before it is kept.
LARGEST_BODY: Final = 4 * 1024**2
#: Where processes leave what they count for whoever is asked.
COUNTED: Final = "PROMETHEUS_MULTIPROC_DIR"


class Command(BaseCommand):
    """Serve the site, and keep progress current beside it."""

    help = "Serve the site, and keep progress current beside it"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address and the service's pace."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument(
            "--port", type=_whole(0, 65_535), default=8000, help="8000 unless told; 0: any that is free"
        )
        parser.add_argument("--threads", type=_whole(1), default=8)
        parser.add_argument(
            "--interval", type=_whole(0), default=5, metavar="SECONDS", help="between looks at what changed"
        )
        parser.add_argument(
            "--trusted-proxy",
            type=_address,
            metavar="ADDRESS",
            help="of the proxy that is believed when it says who asks, and how (X-Forwarded-For, X-Forwarded-Proto);"
            " *: whoever connects",
        )
        parser.add_argument("--no-service", action="store_true", help="serve only: progress is kept current elsewhere")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGTERM or Ctrl-C."""
        if settings.SECURE_SSL_REDIRECT and not options["trusted_proxy"]:
            raise CommandError(
                "HTTPS=true sends everybody to https://, which this server does not speak:"
                " name the proxy that does with --trusted-proxy ADDRESS, or unset HTTPS."
            )
        if not settings.SECURE_SSL_REDIRECT and options["host"] not in THIS_MACHINE:
            self.stderr.write(
                "Passwords and tokens travel unencrypted to other machines: put a proxy that ends TLS in front,"
                " and set HTTPS=true."
            )

        import waitress

        from completion_aggregator.platforms.standalone.wsgi import application

        signal.signal(signal.SIGTERM, _stop)
        try:
            server = waitress.create_server(
                application,
                host=options["host"],
                port=options["port"],
                threads=options["threads"],
                max_request_body_size=LARGEST_BODY,
                **_proxy(options["trusted_proxy"]),
            )
        except (OSError, ValueError) as error:  # waitress says the latter of a host that has no address
            why = getattr(error, "strerror", None) or "it is no address of this machine"
            raise CommandError(f"Cannot listen on {options['host']}:{options['port']}: {why}.") from error
        self.stdout.write(f"Serving http://{options['host']}:{server.effective_port}/ (Ctrl-C stops)")
        self.stdout.flush()
        service = nullcontext() if options["no_service"] else running_service(options["interval"])
        with _counting_together(), service:
            server.run()  # returns on SystemExit and KeyboardInterrupt, when requests under way are answered
        self.stdout.write("Stopped.")


@contextmanager
def _counting_together() -> Iterator[None]:
    """Have this process and its service count in one folder, unless the operator has named one."""
    if os.environ.get(COUNTED) or find_spec("prometheus_client") is None or "prometheus_client" in sys.modules:
        yield
        return
    with TemporaryDirectory(prefix="completion-aggregator-metrics-") as folder:
        os.environ[COUNTED] = folder
        try:
            yield
        finally:
            del os.environ[COUNTED]


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a type of arguments: whole numbers from *least* to *most*."""
    bounds = f"from {least} to {most}" if most else f"from {least} on"

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= (most or int(text)):
            raise ArgumentTypeError(f"must be a whole number {bounds}, not {text!r}")
        return int(text)

    return read


def _address(text: str) -> str:
    """Read an address as the server writes those who connect: it compares the texts."""
    try:
        return text if text == EVERYBODY else str(ip_address(text))
    except ValueError:
        raise ArgumentTypeError(f"must be an IP address such as 127.0.0.1 or ::1, or *, not {text!r}") from None


def _proxy(address: str | None) -> dict[str, Any]:
    headers = {"x-forwarded-for", "x-forwarded-proto"}
    return {"trusted_proxy": address, "trusted_proxy_headers": headers} if address else {}


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit
