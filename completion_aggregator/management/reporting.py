"""How a command tells of long work: a line that rewrites itself on a terminal, plain lines elsewhere."""

from time import monotonic
from typing import Final, Self

from django.core.management.base import OutputWrapper

_SECONDS_BETWEEN_LINES: Final = 5.0


class Progress:
    """Counts units of work on *out*. With a *total* it also tells how far the work is and when it will end."""

    def __init__(self, out: OutputWrapper, unit: str, *, total: int | None = None) -> None:
        self._out, self._unit, self._total = out, unit, total
        self._terminal = out.isatty()
        self._start = self._last = monotonic()
        self.done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self.done:
            self._out.write("\r" + " " * 78 + "\r", ending="")

    def advance(self, count: int) -> None:
        """Say that *count* more are done."""
        self.done += count
        now = monotonic()
        if self._terminal or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            self._out.write(f"\r{self._line(now):<78}" if self._terminal else self._line(now), ending=self._ending)
            self._out.flush()

    @property
    def _ending(self) -> str:
        return "" if self._terminal else "\n"

    def _line(self, now: float) -> str:
        rate = self.done / max(now - self._start, 1e-9)
        line = f"{self.done:,} {self._unit}, {rate:,.0f}/s"
        if not self._total:
            return line
        left = max(self._total - self.done, 0) / max(rate, 1e-9)
        return f"{min(self.done / self._total, 1):4.0%}  {line}, {left:,.0f} s left"
