"""Every state between the tables of 4.x and the newest: ``migrate`` runs its checks in each, and goes on from it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from opaque_keys.edx.keys import CourseKey

from completion_aggregator.checks import upgrade_is_finished
from completion_aggregator.models import Aggregator
from completion_aggregator.ports import get_platform

LABEL = "completion_aggregator"
COURSE = CourseKey.from_string("course-v1:A+b+C")
NAMES = sorted(name for label, name in MigrationExecutor(None).loader.disk_migrations if label == LABEL)
#: From the last that 4.x has, to the newest.
STATES = [name for name in NAMES if name >= "0007"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def tally(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Store what makes the checks look further; leave the tables as they were."""
    monkeypatch.setattr(get_platform(), "course_keys", lambda: [COURSE], raising=False)
    user = get_user_model()._default_manager.create(username="ana")
    Aggregator.objects.create(
        user=user, course_key=COURSE, block_key=COURSE.make_usage_key("course", "course"), aggregation_name="course",
        earned=1, possible=2, percent=0.5, last_modified=timezone.now(),
    )  # fmt: skip
    yield
    call_command("migrate", verbosity=0)


def migrate(name: str) -> None:
    """Migrate as the command line does, which runs the checks first."""
    call_command("migrate", LABEL, name, verbosity=0, skip_checks=False)


def is_told() -> bool:
    return [each.id for each in upgrade_is_finished(None, databases=["default"])] == ["completion_aggregator.W005"]


def test_migrate_runs_its_checks_in_every_state_there_and_back() -> None:
    migrate("0007")
    told = {}
    for name in STATES:
        migrate(name)
        told[name] = is_told()
    for name in reversed(STATES):
        migrate(name)
        assert is_told() is told[name], name
    assert told == {name: name >= "0012" for name in STATES}


def test_checks_run_between_any_two_statements_where_each_is_final(vendor: str) -> None:
    if vendor != "mysql":
        pytest.skip("elsewhere a migration is one transaction")
    checked, told = list[str](), set[str | None]()

    def wrapper(run: Any, sql: str, *arguments: Any) -> Any:
        # What there is after a statement is what a process finds that was killed before the next one.
        result = run(sql, *arguments)
        if sql.startswith(("CREATE TABLE", "ALTER TABLE", "DROP TABLE", "RENAME TABLE")):
            checked.append(sql)
            told.update(each.id for each in upgrade_is_finished(None, databases=["default"]))
        return result

    for name in ("0007", ""):
        with connection.execute_wrapper(wrapper):
            call_command("migrate", LABEL, *filter(None, [name]), verbosity=0)
    assert (told, len(checked) > 2 * len(STATES)) == ({"completion_aggregator.W005"}, True)
