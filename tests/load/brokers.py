"""Brokers that a load test may kill: servers of its own, on ports that are free, that keep nothing of Redis' queue."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

PATIENCE: Final = 60.0


class Broker:
    """A server as a process; killed as ``kill -9`` does, and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    @property
    def url(self) -> str:
        raise NotImplementedError

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Return the command and what its environment has."""
        raise NotImplementedError

    def start(self) -> None:
        command, extra = self.command()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=os.environ | extra, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"the broker does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, with all that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
        except OSError:
            return False
        return True


class Redis(Broker):
    """``redis-server`` without a disk: when it is killed, every task that waits is gone."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> tuple[list[str], dict[str, str]]:
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(self.folder)}
        return ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", value))], {}


class RabbitMQ(Broker):
    """A RabbitMQ node of its own, beside one that may be there. ``epmd`` is shared, and left running."""

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def command(self) -> tuple[list[str], dict[str, str]]:
        (self.folder / "plugins").write_text("[].")
        return [_rabbitmq()], {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"load{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.port + 20_000 if self.port < 40_000 else self.port - 20_000),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            # One scheduler that sleeps when idle: the machine is for what is tested.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }


BROKERS: Final = {"redis": Redis, "rabbitmq": RabbitMQ}


def _rabbitmq() -> str:
    # Not the command on the path: packages make that one run as another user, from a folder of its own.
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    command = str(found[-1]) if found else shutil.which("rabbitmq-server")
    if command is None:
        raise SystemExit("--broker rabbitmq needs rabbitmq-server: apt install rabbitmq-server")
    return command


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
