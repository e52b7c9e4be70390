"""A course at a glance, as plain text."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from completion_aggregator.aggregation.api import CourseSummary

BAR: Final = 32
TITLE: Final = 38


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a step took, for how many of what."""

    step: str
    seconds: float
    count: int = 0
    unit: str = ""

    @property
    def rate(self) -> str:
        """Return the pace in words; empty when nothing was counted."""
        return f"{self.count / max(self.seconds, 1e-9):,.0f} {self.unit}/s" if self.count else ""


def course_lines(summary: CourseSummary, *, bar: str = "█") -> Iterator[str]:
    """Yield a table with a line per section, and a histogram of the learners."""
    yield f"{summary.title}: {summary.learners:,} learners"
    yield ""
    yield f"{'SECTION':<{TITLE}}{'started':>10}{'half':>10}{'finished':>10}{'mean':>10}"
    for block in summary.blocks:
        counts = f"{block.started:>10,}{block.half:>10,}{block.finished:>10,}"
        yield f"{_fitted(block.title or block.block_key, TITLE)}{counts}{block.mean:>10.1%}"
    yield ""
    yield f"{'LEARNERS BY PROGRESS':<{TITLE}}{'mean of the course':>30}{summary.mean:>10.1%}"
    yield from _histogram(summary.histogram, bar)


def timing_lines(timings: Iterable[Timing]) -> Iterator[str]:
    """Yield a line per step."""
    for each in timings:
        amount = f"{each.count:,} {each.unit}" if each.count else ""
        yield f"{each.step:<{TITLE}}{amount:>22}{each.seconds:>8.2f} s{each.rate:>28}".rstrip()


def _histogram(counts: Sequence[int], bar: str) -> Iterator[str]:
    most, total = max([*counts, 1]), max(sum(counts), 1)
    step = 100 // len(counts)
    for place, count in enumerate(counts):
        low, high = place * step, (place + 1) * step
        length = round(count / most * BAR) or (1 if count else 0)
        yield f"{low:>3} - {high:>3} %  {bar * length:<{BAR}}{count:>10,}{count / total:>8.1%}"


def _fitted(title: str, width: int) -> str:
    short = title if len(title) < width else title[: width - 2] + "…"
    return f"{short:<{width}}"
