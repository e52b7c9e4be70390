"""A load on its way into ClickHouse, as the ledger notes it before the first row is sent.

If the process dies, the next run sends the very same rows again, in the same blocks: it reads them from the parts
that still wait, and decides nothing anew.
"""

import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import numpy as np

from completion_aggregator.tracking.destination import Handover
from completion_aggregator.tracking.ledger import Delivery, Ledger, Part, Progress, Run

_NOTE: Final = "pending"
_BYTES: Final = ("head", "digest", "packed")


def note(ledger: Ledger, handover: Handover) -> None:
    """Write down what is about to be sent."""
    delivery = handover.delivery
    found = asdict(delivery) | {
        "run": asdict(handover.run),
        "began": delivery.began.isoformat(),
        "sources": [_plain(each) for each in delivery.sources],
        "fields": [[*key, count] for key, count in delivery.fields.items()],
        "misdated": handover.misdated.tolist(),
    }
    ledger.set_note(_NOTE, json.dumps(found))


def noted(ledger: Ledger) -> Handover | None:
    """Return what a run was about to send that died before the ledger knew of it."""
    text = ledger.note(_NOTE)
    found: dict[str, Any] = json.loads(text) if text else {}
    if not found or found["load"] < ledger.next_load():
        return None
    run, misdated = Run(**found.pop("run")), found.pop("misdated")
    delivery = Delivery(
        **found
        | {
            "began": datetime.fromisoformat(found["began"]),
            "sources": [_progress(each) for each in found["sources"]],
            "parts": [Part(**each) for each in found["parts"]],
            "fields": Counter({(name, path, kind): count for name, path, kind, count in found["fields"]}),
        }
    )
    return Handover(run, delivery, np.array(misdated, np.uint64).reshape(-1, 2))


def forget(ledger: Ledger) -> None:
    """Take the note away."""
    ledger.set_note(_NOTE, "")


def _plain(each: Progress) -> dict[str, Any]:
    # asdict() takes a Counter for a list of what is to be counted.
    found = asdict(each) | {"counts": dict(each.counts)}
    return found | {name: None if found[name] is None else found[name].hex() for name in _BYTES}


def _progress(found: dict[str, Any]) -> Progress:
    plain = {name: None if found[name] is None else bytes.fromhex(found[name]) for name in _BYTES}
    return Progress(**found | plain | {"counts": Counter(found["counts"])})
