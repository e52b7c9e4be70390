"""A demo that is served, for pages about one that is."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.desk import run, surroundings
from tests.docs.pages import READERS_SITE

PASSWORD = "to the moon"


@dataclass(frozen=True, slots=True)
class DemoSite:
    """The demo's site while it is served. ``address``: host and port. ``environment``: for whoever works beside it."""

    address: str
    environment: dict[str, str]

    def here(self, page: str) -> str:
        """Return *page* as it is of this site, not of the reader's."""
        return page.replace(READERS_SITE, self.address)

    def token(self, username: str) -> str:
        """Return the token of a user."""
        done = self.command("drf_create_token", username)
        return done.split()[2]

    def command(self, *arguments: str) -> str:
        """Run a command of the site, and return what it says."""
        done = run(["completion-aggregator", *arguments], Path(self.environment["HOME"]), self.environment)
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def demo_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSite]:
    """Make the demo, with the account that its pages speak of, and serve it."""
    home = tmp_path_factory.mktemp("served")
    environment = surroundings(home) | {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    site = DemoSite("", environment)
    site.command("demo")
    site.command("createsuperuser", "--noinput", "--username", "maria", "--email", "maria@example.org")
    with subprocess.Popen(
        ["completion-aggregator", "serve", "--port", "0"],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().partition("http://")[2].partition("/")[0]
            assert address, "the demo is not served"
            yield DemoSite(address, environment)
        finally:
            server.terminate()
