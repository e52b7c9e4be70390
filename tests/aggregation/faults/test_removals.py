"""Workers that remove rows of different learners at once do not wait for each other."""

from functools import partial
from random import Random
from threading import Barrier

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from completion_aggregator.aggregation import projection
from completion_aggregator.models import Aggregator
from tests.aggregation.builders import KEY, usage
from tests.aggregation.interleaving import PATIENCE, Crew

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]

WORKERS, TIMES, ROWS = 4, 5, 300


def test_workers_that_remove_rows_do_not_meet(crew: Crew) -> None:
    ana, now = get_user_model()._default_manager.create(username="ana"), timezone.now()
    count = WORKERS * TIMES * ROWS
    Aggregator.objects.bulk_create(
        Aggregator(
            user=ana, course_key=KEY, aggregation_name="vertical", block_key=usage("vertical", f"v{number}"),
            earned=0.0, possible=1.0, percent=0.0, last_modified=now,
        )
        for number in range(count)
    )  # fmt: skip
    ids = list(Aggregator.objects.values_list("pk", flat=True))
    Random(1).shuffle(ids)
    together = Barrier(WORKERS)

    def work(part: int) -> None:
        connection.ensure_connection()
        for time in range(TIMES):
            start = (part * TIMES + time) * ROWS
            together.wait(PATIENCE)
            with transaction.atomic():
                projection.remove(ids[start : start + ROWS // 2])
                together.wait(PATIENCE)  # each has rows between those of the others
                projection.remove(ids[start + ROWS // 2 : start + ROWS])

    for future in [crew.start(partial(work, part))[0] for part in range(WORKERS)]:
        future.result(PATIENCE)
    assert not Aggregator.objects.exists()
