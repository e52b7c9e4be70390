"""Learners who are refreshed while their course is imported: by the content before, and nobody is forgotten."""

import pytest
from completion.models import BlockCompletion
from django.db import transaction
from opaque_keys.edx.keys import UsageKey

from completion_aggregator.aggregation import api
from completion_aggregator.aggregation.attempts import again
from completion_aggregator.models import CourseProgress
from completion_aggregator.platforms.standalone.courses import compile_content, store_version
from tests.aggregation.faults.conftest import crew, isolation  # noqa: F401  (fixtures)
from tests.aggregation.interleaving import PATIENCE, Crew
from tests.platforms.standalone.builders import KEY, content, course, leaf, learner

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.mark.usefixtures("isolation")
def test_who_is_refreshed_while_a_version_is_stored_is_looked_at_after_it(crew: Crew, settings) -> None:  # noqa: F811
    settings.COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
    course(leaf("one"), leaf("two"))
    ana = learner("ana")
    key = UsageKey.from_string(leaf("one").key)
    BlockCompletion.objects.submit_completion(ana, key, 1.0)
    newer = content(leaf("one"))

    def publish() -> None:
        with transaction.atomic():
            list(CourseProgress.objects.all())  # what it sees from here on is how things are now
            store_version(newer, compile_content(newer))

    publishing, stop = crew.start(lambda: again(publish), stop_at="completion_aggregator_aggregatedcourse")
    stop.reached()
    crew.do(lambda: api.refresh_course(KEY))
    assert CourseProgress.objects.get().possible == 2.0
    stop.release()
    publishing.result(PATIENCE)

    assert [done.marked for done in crew.do(lambda: list(api.settle_changes()))] == [1]
    crew.do(lambda: api.refresh_course(KEY))
    assert CourseProgress.objects.get().possible == 1.0
