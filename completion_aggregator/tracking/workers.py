"""Several processes that read, and one that commits: each reader has a pipe to the clerk for a desk.

A reader that dies, or can write no more, ends the run: what was committed stays, and the next run reads the rest.
"""

import gc
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

from completion_aggregator.exceptions import CompletionAggregatorError
from completion_aggregator.tracking import reading
from completion_aggregator.tracking.clerk import Clerk
from completion_aggregator.tracking.columns import Days, Flags
from completion_aggregator.tracking.errors import LoadFailed
from completion_aggregator.tracking.ledger import Delivery, Known
from completion_aggregator.tracking.load import Settings
from completion_aggregator.tracking.reading import Reader, Task
from completion_aggregator.tracking.seen import Ids

#: What a reader waits for an answer to.
_ASKED: Final = frozenset({"begin", "number_source", "packed_alike", "known", "judge", "next"})
#: What a packed file is taken to unpack to, times its size; a group of files is to be one load.
_UNPACKED: Final = 8


def read(clerk: Clerk, settings: Settings, tasks: list[Task], workers: int) -> list[Task]:
    """Read the files in so many processes; return those to be read later. Raises LoadFailed."""
    groups = deque(_groups(tasks, workers))
    # Not a fork: Arrow's threads would not come along.
    context = get_context("spawn")
    readers: dict[Connection, BaseProcess] = {}
    later: list[Task] = []
    try:
        for _ in range(min(workers, len(groups))):
            ours, theirs = context.Pipe()
            process: BaseProcess = context.Process(target=_serve, args=(theirs, settings), daemon=True)
            with uninterrupted():
                process.start()
                readers[ours] = process
            theirs.close()
        while readers:
            for pipe in wait(list(readers)):
                _answer(pipe, readers, clerk, groups, later)  # type: ignore[arg-type] # they are those that were handed in
    finally:
        for process in readers.values():
            process.kill()
            process.join()
    return later


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the terminal's interrupt wait; a process that is started in the meantime never gets it.

    It is for the process that commits, which ends the others.
    """
    resource_tracker.ensure_running()  # which, if it were started with the process, would let interrupts through again
    came: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    # What is blocked here may still reach a thread of a library, and with it this one.
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if is_main else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if is_main:
            signal.signal(signal.SIGINT, handler)
    if came:
        raise KeyboardInterrupt


def _answer(
    pipe: Connection, readers: dict[Connection, BaseProcess], clerk: Clerk, groups: deque[list[Task]], later: list[Task]
) -> None:
    try:
        name, values = pipe.recv()
        found = _found(clerk, name, values, groups, later)
        if name in _ASKED:
            pipe.send(found)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        readers[pipe].join()
        raise LoadFailed(
            f"a process that read logs died (exit code {readers[pipe].exitcode}): what was committed"
            " stays, run it again"
        ) from None
    if name == "bye":
        readers.pop(pipe).join()


def _found(clerk: Clerk, name: str, values: Any, groups: deque[list[Task]], later: list[Task]) -> Any:
    if name == "broke":
        raise LoadFailed(values[0])
    if name == "next":
        later.extend(values[0])
        return groups.popleft() if groups else None
    return None if name == "bye" else getattr(clerk, name)(*values)


def _groups(tasks: Sequence[Task], workers: int) -> list[list[Task]]:
    """Return the files in groups: of a load each, and so many that all processes have something to do to the end."""
    sizes = [task.source.size * (_UNPACKED if task.source.name.endswith(".gz") else 1) for task in tasks]
    most = min(reading.LOAD_BYTES, sum(sizes) // (2 * workers))
    groups: list[list[Task]] = [[]]
    filled = 0
    for task, size in zip(tasks, sizes, strict=True):
        if groups[-1] and filled + size > most:
            groups.append([])
            filled = 0
        groups[-1].append(task)
        filled += size
    return groups


class _Desk:
    """The clerk, as a reader in another process has it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def begin(self) -> int:
        return int(self._ask("begin"))

    def number_source(self) -> int:
        return int(self._ask("number_source"))

    def packed_alike(self, packed: bytes) -> int | None:
        found: int | None = self._ask("packed_alike", packed)
        return found

    def known(self, head: bytes, url: str) -> list[Known] | None:
        found: list[Known] | None = self._ask("known", head, url)
        return found

    def judge(self, load: int, ids: Ids, own_days: Days, days: Days) -> Flags:
        found: Flags = self._ask("judge", load, ids, own_days, days)
        return found

    def saw(self, task: Task, packed: bytes | None, source: int) -> None:
        self._pipe.send(("saw", (task, packed, source)))

    def deliver(self, delivery: Delivery) -> None:
        self._pipe.send(("deliver", (delivery,)))

    def failed(self, task: Task, reason: str) -> None:
        self._pipe.send(("failed", (task, reason)))

    def advance(self, packed_bytes: int, lines: int, refused: int) -> None:
        self._pipe.send(("advance", (packed_bytes, lines, refused)))

    def next_group(self, later: list[Task]) -> list[Task] | None:
        found: list[Task] | None = self._ask("next", later)
        return found

    def _ask(self, name: str, *values: Any) -> Any:
        self._pipe.send((name, values))
        return self._pipe.recv()


def _serve(pipe: Connection, settings: Settings) -> None:
    gc.disable()  # nothing in the loop has circles
    desk = _Desk(pipe)
    try:
        reader = Reader(desk, settings)
        group = desk.next_group([])
        while group is not None:
            group = desk.next_group(reader.read(group))
        pipe.send(("bye", ()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody commits any more
    except (OSError, CompletionAggregatorError) as error:
        with suppress(BrokenPipeError):  # nobody is there to be told
            pipe.send(("broke", (str(error),)))
