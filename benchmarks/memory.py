"""The memory of this process, as Linux counts it; None elsewhere."""

from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


def forget_peak() -> None:
    """Let the peak begin anew."""
    if _STATUS.exists():
        _STATUS.with_name("clear_refs").write_text("5")


def peak_mb() -> float | None:
    """Return the most that was resident since the peak was forgotten."""
    return _read("VmHWM:")


def resident_mb() -> float | None:
    """Return what is resident now."""
    return _read("VmRSS:")


def _read(name: str) -> float | None:
    return int(_STATUS.read_text().partition(name)[2].split()[0]) / 1024 if _STATUS.exists() else None
