"""What our signal handler adds to one saved completion: asynchronous, and with the learner refreshed at once."""

from collections.abc import Iterable
from statistics import median, quantiles
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models.signals import post_save
from django.test import override_settings
from opaque_keys.edx.keys import UsageKey

from benchmarks.cost import Result, measured
from benchmarks.refresh import Bench

_MOST: Final = 60


def signal_async(bench: Bench) -> Result:
    """Return the medians with our handler less those without."""
    return _added(bench, synchronous=False)


def signal_sync(bench: Bench) -> Result:
    """Return the same with the refresh that follows the commit."""
    return _added(bench, synchronous=True)


def _added(bench: Bench, *, synchronous: bool) -> Result:
    from completion.models import BlockCompletion

    learner = bench.learners[0]
    # Each block once: the first is that of ``incremental``, and both of these works are measured on one database.
    times = min(_MOST, (len(bench.course.completable()) - len(learner.completions) - 1) // 4)
    first = 1 + 2 * times * synchronous
    with override_settings(COMPLETION_AGGREGATOR_ASYNC_AGGREGATION=not synchronous):
        kept = _saved(bench, learner, range(first, first + times))
        post_save.disconnect(sender=BlockCompletion, dispatch_uid="completion_aggregator.completion_saved")
        bare = _saved(bench, learner, range(first + times, first + 2 * times))
    added = {
        name: median(each[name] for each in kept) - median(each[name] for each in bare)
        for name in ("cpu_s", "wall_s", "queries")
    }
    slow = quantiles((each["wall_s"] for each in kept), n=20)[-1] - median(each["wall_s"] for each in bare)
    return added | {"p95_wall_s": slow}


def _saved(bench: Bench, learner: Any, steps: Iterable[int]) -> list[Result]:
    """Measure requests of one learner, each of which saves one completion more in its transaction."""
    from completion.models import BlockCompletion

    times = list[Result]()
    user = get_user_model()._default_manager.get(username=learner.username)
    for step in steps:
        block = UsageKey.from_string(bench.generator.next_completion(bench.course, learner, step))
        times.append({})
        with measured(times[-1]), transaction.atomic():
            BlockCompletion.objects.submit_completion(user, block, 1.0)
    return times
