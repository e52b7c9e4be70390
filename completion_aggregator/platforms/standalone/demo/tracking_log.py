"""The tracking log that an LMS would have written of the demonstration's learners: with what real ones suffer from.

A file for each day, as they are rotated: older ones packed, lines in the order of time. In each a line stands twice, in
some a line is cut, in some one lost its beginning: never that of a completion, so that they tell of all there is.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import IO, Any, Final

from opaque_keys.edx.keys import CourseKey

from completion_aggregator.platforms.standalone.demo.work import Done

LOGS: Final = "tracking.log-*"
COMPLETED: Final = "edx.completion.block_completion.changed"
#: Days whose logs are not packed yet.
_PLAIN: Final = 7
_CUT_EVERY, _HEADLESS_EVERY = 3, 5  # days
_HOST: Final = "courses.example.org"
_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def write_logs(folder: Path, course_key: CourseKey, done: Iterable[Done], *, seed: int) -> int:
    """Write the logs into a folder, in place of those that are there; return how many completions they tell of."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in [*folder.glob(LOGS), *folder.glob(".day-*")]:
        old.unlink()
    count = _spool(folder, course_key, done)
    spools = sorted(folder.glob(".day-*"))
    for number, spool in enumerate(spools):
        lines = sorted(spool.read_text(encoding="ascii").splitlines())
        events = [line.partition("\t")[2] for line in lines]
        day = date.fromisoformat(spool.name.removeprefix(".day-"))
        name = f"tracking.log-{day + timedelta(days=1):%Y%m%d}"
        content = "".join(f"{line}\n" for line in damaged(events, Random(f"{seed}/{day}"), number))  # noqa: S311
        if number < len(spools) - _PLAIN:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content.encode("ascii"), 6, mtime=0))
        else:
            (folder / name).write_text(content, encoding="ascii")
        spool.unlink()
    return count


def damaged(lines: list[str], random: Random, number: int) -> Iterator[str]:
    """Yield the lines of a day as a log has them: one twice, and now and then one cut, or without its beginning."""
    others = [at for at, line in enumerate(lines) if COMPLETED not in line]
    twice = random.randrange(len(lines))
    cut = random.choice(others) if others and number % _CUT_EVERY == 0 else None
    headless = random.choice(others) if others and number % _HEADLESS_EVERY == 0 else None
    for at, line in enumerate(lines):
        if at == headless:
            yield line[len(line) // 2 :]
        elif at == cut:
            # The logger cuts what is too long, and so the fields that come last, the time among them.
            yield line[: line.index('"event":') + 20]
        else:
            yield line
        if at == twice:
            yield line


def events_of(each: Done, course_key: CourseKey) -> Iterator[dict[str, Any]]:
    """Yield what the platform logs when a learner completes a block: what she did, and that it is completed."""
    before = (each.moment - timedelta(seconds=1)).isoformat(timespec="microseconds")
    key = each.block.rpartition("@")[2]
    if each.kind == "problem":
        answer = {"problem_id": each.block, "attempts": 1, "success": "correct", "grade": 1, "max_grade": 1}
        yield _event(each, course_key, "problem_check", source="server", payload=answer, time=before)
    elif each.kind == "video":
        played = json.dumps({"id": key, "currentTime": 0, "code": "html5"})
        yield _event(each, course_key, "play_video", source="browser", payload=played, time=before)
    else:
        yield _event(each, course_key, "page_close", source="browser", payload="{}", time=before)
    moment = each.moment.isoformat(timespec="microseconds")
    completion = {
        "user_id": each.user_id,
        "course_id": str(course_key),
        "block_id": each.block,
        "block_type": each.kind,
        "completion": each.completion,
        "modified": moment,
    }
    yield _event(each, course_key, COMPLETED, source="server", payload=completion, time=moment)


def _event(each: Done, course_key: CourseKey, name: str, *, source: str, payload: object, time: str) -> dict[str, Any]:
    path = "/event" if source == "browser" else f"/courses/{course_key}/xblock/{each.block}/handler"
    return {
        "name": name,
        "context": {
            "course_id": str(course_key),
            "course_user_tags": {},
            "user_id": each.user_id,
            "path": path,
            "org_id": course_key.org,
        },
        "username": each.username,
        "session": f"{each.user_id:032x}",
        "ip": f"192.0.2.{each.user_id % 254 + 1}",
        "agent": _AGENT,
        "host": _HOST,
        "referer": f"https://{_HOST}/courses/{course_key}/courseware",
        "accept_language": "en",
        "event": payload,
        "time": time,
        "event_type": name,
        "event_source": source,
        "page": f"https://{_HOST}/courses/{course_key}/courseware" if source == "browser" else "x_module",
    }


def _spool(folder: Path, course_key: CourseKey, done: Iterable[Done]) -> int:
    """Write each line behind its time, into the file of its day; return how many completions there are."""
    count = 0
    with ExitStack() as stack:
        days: dict[date, IO[str]] = {}
        for each in done:
            count += 1
            for event in events_of(each, course_key):
                day = date.fromisoformat(event["time"][:10])
                if day not in days:
                    days[day] = stack.enter_context((folder / f".day-{day}").open("w", encoding="ascii"))
                days[day].write(f"{event['time']}\t{json.dumps(event)}\n")
    return count
