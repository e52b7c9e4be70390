"""A dry look at logs: what they hold and what is wrong with them, without a store."""

import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from completion_aggregator.tracking import catalogue, headings
from completion_aggregator.tracking.contents import Content, Lines, TooLong
from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.pseudonyms import KEY, Keys, Pseudonyms
from completion_aggregator.tracking.sources import Source, opened
from completion_aggregator.tracking.transform import EVENT_ROW, Transform

_NAME, _FAMILY = (headings.COLUMNS.index(name) for name in ("name", "family"))
_HEADING, _QUALITY = EVENT_ROW.index("heading"), EVENT_ROW.index("time_quality")
_SHOWN = 20


@dataclass(slots=True)
class Report:
    """What is in a file. ``refused``: offset, length, reason, beginning of the first lines that are no events."""

    file: str
    bytes: int = 0
    damage: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    qualities: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[int, int, str, str]] = field(default_factory=list)
    fields: Counter[tuple[str, str, str]] = field(default_factory=Counter)


def check(source: Source) -> Report:
    """Read a log and say what is in it. Raises Unreadable."""
    # Keys of the moment: nothing of it is kept.
    keys = Keys(*(secrets.token_bytes(KEY) for _ in range(3)))
    transform = Transform(Pseudonyms(keys), Countries(None))
    report = Report(source.url)
    with opened(source) as stream:
        content = Content(stream)
        lines = Lines(content)
        position = 0
        for each in lines:
            if isinstance(each, TooLong):
                transform.refuse(position, each.begin, "longer than 64 MB", length=each.length)
            else:
                transform.take(position, each)
            position = lines.length
            _gather(transform, report)
        if lines.rest:
            transform.take(position, [lines.take_rest()])
            _gather(transform, report)
    report.bytes, report.damage = lines.length, content.damage
    return report


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as a machine wants it."""
    return {
        "file": report.file,
        "bytes": report.bytes,
        "damage": report.damage,
        **dict(report.counts),
        "families": dict(report.families.most_common()),
        "unknown_names": dict(report.unknown.most_common()),
        "time_quality": dict(report.qualities),
        "reasons": dict(report.reasons.most_common()),
        "refused": [dict(zip(("offset", "length", "reason", "line"), each, strict=True)) for each in report.refused],
        "fields": [[*key, count] for key, count in report.fields.most_common()],
    }


def _gather(transform: Transform, report: Report) -> None:
    counts = {name: getattr(transform, name) for name in ("lines", "blank", "joined", "repaired")}
    report.counts.update(counts | {"events": len(transform.events), "quarantined": len(transform.quarantine)})
    told = transform.groups["heading"].rows
    report.families.update(told[row[_HEADING]][_FAMILY] for row in transform.events)
    report.qualities.update(row[_QUALITY] for row in transform.events)
    report.unknown.update(_unknown(told[row[_HEADING]][_NAME] for row in transform.events))
    report.reasons.update(each[2] for each in transform.quarantine)
    report.refused.extend(transform.quarantine[: _SHOWN - len(report.refused)])
    report.fields.update(transform.fields)
    transform.fresh()


def _unknown(names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in catalogue.NAMES and not name.startswith("/")]
