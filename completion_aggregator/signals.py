"""Where completions reach us: every save and delete of a ``BlockCompletion`` leaves a stale row."""

from typing import Any

from completion.models import BlockCompletion
from django.db.models.signals import post_delete, post_save, pre_save

from completion_aggregator.aggregation import api
from completion_aggregator.models import Aggregator


def connect() -> None:
    """Listen; to call it again changes nothing."""
    for signal, name in ((post_save, "saved"), (post_delete, "deleted")):
        signal.connect(
            completion_changed, sender=BlockCompletion, dispatch_uid=f"completion_aggregator.completion_{name}"
        )
    pre_save.connect(tally_checked, sender=Aggregator, dispatch_uid="completion_aggregator.tally_checked")


def tally_checked(sender: Any, instance: Aggregator, raw: bool = False, **_: Any) -> None:
    """Refuse a tally that other software saves if it makes no sense, as 4.x did. Raises ValidationError."""
    if not raw:
        instance.full_clean(validate_unique=False, validate_constraints=False)


def completion_changed(sender: Any, instance: BlockCompletion, raw: bool = False, **_: Any) -> None:
    """Mark the completion stale, in the transaction that changes it.

    Completions outside courses (libraries have them) are not ours; what a fixture loads comes with its own tallies.
    """
    if raw or not instance.context_key.is_course:
        return
    api.completion_changed(instance.user, instance.context_key, instance.block_key)
