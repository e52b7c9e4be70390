"""The operations of the migrations, where a run of the other direction was interrupted."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.migrations.schema import described

LABEL = "completion_aggregator"

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """What no code of ours catches."""


@pytest.fixture
def interrupted(vendor: str) -> Iterator[dict[str, Any]]:
    """Go back to 0007, killed before the second table gets its old form; yield the tables of before."""
    if vendor != "mysql":
        pytest.skip("elsewhere a migration is one transaction")
    latest = described(LABEL)

    def kill(run: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith(f"CREATE TABLE {LABEL}_aggregator_0007_draft"):
            raise Killed
        return run(sql, *arguments)

    with pytest.raises(Killed), connection.execute_wrapper(kill):
        call_command("migrate", LABEL, "0007", verbosity=0)
    connection.close()
    yield latest
    call_command("migrate", LABEL, "0007", verbosity=0)
    call_command("migrate", LABEL, verbosity=0)


def test_forward_before_the_way_back_is_finished_says_what_to_do(interrupted: dict[str, Any]) -> None:
    message = f"way back to 0007 is not finished: .*{LABEL}_aggregatedcourse.*Run migrate {LABEL} 0007 first"
    with pytest.raises(RuntimeError, match=message):
        call_command("migrate", LABEL, verbosity=0)
    call_command("migrate", LABEL, "0007", verbosity=0)
    call_command("migrate", LABEL, verbosity=0)
    assert described(LABEL) == interrupted
