"""The project keeps its own word: what the documentation, the packaging and the tools say is so."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import completion_aggregator

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "completion_aggregator"
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))

CORE_MODELS = """
import json, django
from django.apps import apps
django.setup()
ours = [model for model in apps.get_models() if model.__module__.startswith("completion_aggregator")]
print(json.dumps(sorted({(model._meta.app_label, model._meta.db_table) for model in ours})))
"""


def test_the_installed_version_is_the_one_that_the_package_states():
    assert metadata.version("completion-aggregator") == completion_aggregator.__version__


def test_the_changelog_has_a_section_for_this_version():
    release = completion_aggregator.__version__.partition(".dev")[0]
    assert re.search(rf"^## {re.escape(release)}\b", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_licence_is_the_agpl_in_full():
    text = (REPOSITORY / "LICENSE.txt").read_text()
    assert text.lstrip().startswith("GNU AFFERO GENERAL PUBLIC LICENSE")
    assert "13. Remote Network Interaction; Use with the GNU General Public License." in text
    assert len(text.splitlines()) == 661
    assert metadata.metadata("completion-aggregator")["License-Expression"] == "AGPL-3.0-or-later"


def test_every_data_file_of_the_package_is_installed():
    endings = re.search(r"^DATA = \((.*)\)$", (REPOSITORY / "setup.py").read_text(), re.MULTILINE)
    assert endings
    installed = {f".{ending}" for ending in re.findall(r"\w+", endings[1])} | {".py", ".md"}  # .md: notes beside data
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix not in installed} == {PACKAGE / "py.typed"}


def test_the_lms_finds_the_app():
    found = {
        group: [point.value for point in metadata.entry_points(group=group) if point.name == "completion_aggregator"]
        for group in ("lms.djangoapp", "cms.djangoapp")
    }
    app = "completion_aggregator.apps:CompletionAggregatorAppConfig"
    assert found == {"lms.djangoapp": [app], "cms.djangoapp": [app]}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_a_hash(lock):
    pins = re.findall(r"^([\w.-]+==\S+)[^\n]*\n\s+--hash=sha256:", lock.read_text(), re.MULTILINE)
    assert pins
    assert len(pins) == len(re.findall(r"^[\w.-]+(?:\[.*\])?==", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_lock_agrees_with_the_one_that_holds_everything(lock):
    everything = versions_in(REPOSITORY / "requirements" / "dev.txt")
    names = {pin.partition("==")[0] for pin in everything}
    # What these bring themselves is locked here alone.
    apart = lock.stem in {"audit", "clickhouse-test", "mysql", "peer", "xapi"}
    differing = versions_in(lock) - everything
    assert {pin for pin in differing if not apart or pin.partition("==")[0] in names} == set()


def versions_in(lock: Path) -> set[str]:
    """Return the pins of a lock, whatever they are for."""
    return {pin.partition(" ;")[0] for pin in pins_of(lock)}


def pins_of(lock: Path) -> set[str]:
    return {pin.rstrip(" \\") for pin in re.findall(r"^([\w.-]+==[^\n]+)$", lock.read_text(), re.MULTILINE)}


def test_the_locks_satisfy_what_the_package_asks_for():
    base = {
        str(Requirement(line).name).lower()
        for line in metadata.requires("completion-aggregator") or []
        if "extra ==" not in line
    }
    locked = {pin.partition("==")[0] for pin in pins_of(REPOSITORY / "requirements" / "base.txt")}
    assert base - locked == set()


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/develop.md"])
def test_every_make_target_that_a_page_names_exists(page):
    targets = re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^\$ |`)make (\w+)", (REPOSITORY / page).read_text(), re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def test_every_link_between_pages_leads_somewhere():
    named = ("README.md", "CHANGELOG.md", "SECURITY.md")
    pages = [*(REPOSITORY / name for name in named), *(REPOSITORY / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(REPOSITORY)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_core_alone_has_only_tables_of_the_root_label():
    done = subprocess.run(
        [sys.executable, "-c", CORE_MODELS],
        cwd=REPOSITORY,
        env={"DJANGO_SETTINGS_MODULE": "test_settings_core", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    tables = json.loads(done.stdout)
    assert {label for label, _ in tables} == {"completion_aggregator"}
    public = {"completion_aggregator_aggregator", "completion_aggregator_stalecompletion"}
    assert public | {"completion_aggregator_cachegroupinvalidation"} <= {table for _, table in tables}


def test_every_room_of_the_house_has_its_place_in_the_import_contracts():
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["containers"] == ["completion_aggregator"])
    rooms = set(re.findall(r"\w+", " ".join(layers)))
    assert {"insights", "reports", "platforms", "aggregation", "tracking", "ports", "course_graph"} <= rooms


def test_no_module_is_called_by_a_name_that_says_nothing():
    nameless = {"utils", "helpers", "common", "manager", "managers", "base", "misc"}
    # The LMS looks for settings.common, other plug-ins for api.common.
    allowed = {PACKAGE / "settings" / "common.py", PACKAGE / "api" / "common.py"}
    assert [path for path in PACKAGE.rglob("*.py") if path.stem in nameless and path not in allowed] == []
