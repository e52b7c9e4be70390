"""The page for monitors, the alert rules and the dashboard: all of them speak of what there is."""

import json
import re
import shutil
from typing import Any

import pytest
import yaml

from completion_aggregator.instruments import INSTRUMENTS, PREFIX
from tests.conftest import skip_unless_required
from tests.docs.desk import REPOSITORY, run
from tests.docs.pages import differences, script

DOCS = REPOSITORY / "docs"
PAGE = (DOCS / "how-to" / "observe.md").read_text()


def test_every_command_prints_what_the_page_shows(demo_site, tmp_path, vendor):
    if vendor != "sqlite":
        pytest.skip("the page is run once, in the run on SQLite")
    if shutil.which("curl") is None:
        skip_unless_required("needs curl", "CI_REQUIRE_CURL")
    page = demo_site.here(PAGE)
    done = run(["bash", "-c", script(page)], tmp_path, demo_site.environment)
    assert done.returncode == 0, done.stdout[-5000:]
    assert not differences(page, done.stdout)


# --- alert rules and dashboard -------------------------------------------------------------------------------------


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DOCS / "prometheus" / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCS / "grafana" / "completion-aggregator.json").read_text())
    return found


def named(expression: str) -> set[str]:
    """Return the metrics that an expression names, as the table has them."""
    found = set(re.findall(rf"\b{PREFIX}(\w+)", expression))
    return {name if name in INSTRUMENTS else re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


def shown() -> dict[str, set[str]]:
    """Return the metrics that each panel of the dashboard shows, by its title."""
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    return {panel["title"]: named(" ".join(each["expr"] for each in panel["targets"])) for panel in panels}


def test_dashboard_and_rules_name_the_metrics_of_the_table_and_all_of_them_are_shown():
    asked = {rule["alert"]: named(rule["expr"]) for rule in rules()} | shown()
    assert all(asked.values()), asked
    assert set().union(*asked.values()) <= set(INSTRUMENTS)
    assert set().union(*shown().values()) == set(INSTRUMENTS)


def test_values_of_labels_in_them_are_values_of_the_table():
    texts = [rule["expr"] for rule in rules()]
    texts += [each["expr"] for panel in dashboard()["panels"] for each in panel.get("targets", ())]
    values = {(label, value) for each in INSTRUMENTS.values() for label, some in each.labels.items() for value in some}
    found = {pair for text in texts for pair in re.findall(r'(\w+)!?="(\w+)"', text)}
    assert found
    assert found <= values
    labels = {label for label, _ in values} | {"le"}
    grouped = [names for text in texts for names in re.findall(r"by \(([\w, ]+)\)", text)]
    assert {name for names in grouped for name in names.split(", ")} <= labels


def test_the_dashboard_is_one_that_grafana_reads():
    found = dashboard()
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= found.keys()
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set[tuple[int, int]]()
    for panel in found["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_what_to_do_and_the_runbook_says_when():
    runbook = (DOCS / "how-to" / "runbook.md").read_text()
    titles = {each.lower().replace(" ", "-"): each for each in re.findall(r"^## (.+)$", runbook, re.MULTILINE)}
    for rule in rules():
        assert {"summary", "description", "runbook"} == rule["annotations"].keys()
        assert rule["labels"]["severity"] in {"page", "ticket"}
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "how-to/runbook.md"
        section = runbook.partition(f"## {titles[anchor]}\n")[2].partition("\n## ")[0]
        assert re.search(rf"^\*Alerts?: .*\b{rule['alert']}\b", section, re.MULTILINE), rule["alert"]
    told = set(re.findall(r"\bCompletion[A-Z]\w+", "\n".join(re.findall(r"^\*Alerts?: .*$", runbook, re.MULTILINE))))
    assert told == {rule["alert"] for rule in rules()}


def test_the_rules_do_what_they_are_for(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, of Debian's package prometheus")
    for arguments in (
        ["check", "rules", str(DOCS / "prometheus" / "alerts.yml")],
        ["test", "rules", str(REPOSITORY / "tests" / "docs" / "alerts.test.yml")],
    ):
        done = run([promtool, *arguments], tmp_path, {})
        assert done.returncode == 0, done.stdout
