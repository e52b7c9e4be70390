"""Serve the site, and keep progress current beside it."""

import signal
from contextlib import nullcontext
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from completion_aggregator.platforms.standalone.service import running_service


class Command(BaseCommand):
    """Serve the site, and keep progress current beside it."""

    help = "Serve the site, and keep progress current beside it"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the address and the service's pace."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--threads", type=int, default=8)
        parser.add_argument("--interval", type=int, default=5, metavar="SECONDS", help="between looks at what changed")
        parser.add_argument(
            "--trusted-proxy",
            metavar="ADDRESS",
            help="of the proxy that is believed when it says who asks, and how (X-Forwarded-For, X-Forwarded-Proto)",
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
        except OSError as error:
            raise CommandError(f"Cannot listen on {options['host']}:{options['port']}: {error.strerror}.") from error
        self.stdout.write(f"Serving http://{options['host']}:{server.effective_port}/ (Ctrl-C stops)")
        self.stdout.flush()
        with nullcontext() if options["no_service"] else running_service(options["interval"]):
            server.run()  # returns on SystemExit and KeyboardInterrupt, when requests under way are answered
        self.stdout.write("Stopped.")


def _proxy(address: str | None) -> dict[str, Any]:
    headers = {"x-forwarded-for", "x-forwarded-proto"}
    return {"trusted_proxy": address, "trusted_proxy_headers": headers} if address else {}


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit
