"""Serve the site, and keep progress current beside it."""

import signal
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import nullcontext
from ipaddress import ip_address
from types import FrameType
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.platforms.standalone.service import running_service

EVERYBODY: Final = "*"


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
        import waitress

        from completion_aggregator.platforms.standalone.wsgi import application

        signal.signal(signal.SIGTERM, _stop)
        try:
            server = waitress.create_server(
                application,
                host=options["host"],
                port=options["port"],
                threads=options["threads"],
                **_proxy(options["trusted_proxy"]),
            )
        except (OSError, ValueError) as error:  # waitress says the latter of a host that has no address
            why = getattr(error, "strerror", None) or "it is no address of this machine"
            raise CommandError(f"Cannot listen on {options['host']}:{options['port']}: {why}.") from error
        self.stdout.write(f"Serving http://{options['host']}:{server.effective_port}/ (Ctrl-C stops)")
        self.stdout.flush()
        with nullcontext() if options["no_service"] else running_service(options["interval"]):
            server.run()  # returns on SystemExit and KeyboardInterrupt, when requests under way are answered
        self.stdout.write("Stopped.")


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
