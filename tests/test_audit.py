"""What the audit makes of an answer; that it asks is its own business, and needs the network."""

import re
import runpy
from importlib import metadata
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
audit = runpy.run_path(str(REPOSITORY / "scripts" / "audit.py"))
#: Licences whose works may be part of one under the AGPL, version 3 or later.
COMPATIBLE = re.compile(
    r"MIT|BSD|Apache|PSF|Python Software|ISC|MPL|Mozilla|Zope|Unlicense|GPL-2\.0-or-later|LGPL|Lesser"
    r"|GPL-3\.0|Affero General Public License v3|GPLv2\+|GPLv3"
)


def test_every_lock_that_is_served_is_audited():
    assert {lock.stem for lock in audit["LOCKS"]} >= {
        "base",
        "standalone",
        "mysql",
        "xapi",
        "dev",
        "test",
        "docs",
        "audit",
    }


def test_an_advisory_and_a_package_that_was_passed_over_are_problems():
    answer = [
        {"name": "good", "version": "1", "vulns": []},
        {"name": "bad", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2", "3"]}, {"id": "PYSEC-2"}]},
        {"name": "unknown", "skip_reason": "not found"},
    ]
    assert audit["problems"](answer) == [
        "NOT AUDITED: unknown: not found",
        "vulnerable: bad 1: PYSEC-1; mended in 2, 3",
        "vulnerable: bad 1: PYSEC-2; mended in no version yet",
    ]


@pytest.mark.parametrize("lock", ["base", "standalone", "mysql", "xapi"])
def test_what_is_installed_with_us_may_be(lock):
    text = (REPOSITORY / "requirements" / f"{lock}.txt").read_text()
    names = set(re.findall(r"^([\w.-]+)(?:\[.*\])?==", text, re.MULTILINE))
    found = {name: licence_of(name) for name in names}
    assert {name: said for name, said in found.items() if said is not None and not COMPATIBLE.search(said)} == {}
    assert sum(said is not None for said in found.values()) > len(names) / 2 or lock in {"mysql", "xapi"}


def licence_of(name: str) -> str | None:
    """Return what a package says of its licence; None where it is not installed, as on another system."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classifiers = [each for each in said.get_all("Classifier") or [] if each.startswith("License ::")]
    named = [said[name] for name in ("License-Expression", "License") if name in said]
    return " ".join([*classifiers, *(each[:200] for each in named)])
