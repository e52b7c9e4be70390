"""Where completions reach us: every save and delete of a ``BlockCompletion`` leaves a stale row.

And where their learners change: stale rows know them by name.
"""

from collections.abc import Iterable
from typing import Any, Final

from completion.models import BlockCompletion
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db.models.signals import post_delete, post_save, pre_save

from completion_aggregator.aggregation import api
from completion_aggregator.models import Aggregator

#: What a user who is being saved was called before, on the instance.
_BEFORE: Final = "_completion_aggregator_name_before"


def connect() -> None:
    """Listen; to call it again changes nothing."""
    for signal, name in ((post_save, "saved"), (post_delete, "deleted")):
        signal.connect(
            completion_changed, sender=BlockCompletion, dispatch_uid=f"completion_aggregator.completion_{name}"
        )
    user = get_user_model()
    pre_save.connect(name_remembered, sender=user, dispatch_uid="completion_aggregator.user_to_be_saved")
    post_save.connect(name_followed, sender=user, dispatch_uid="completion_aggregator.user_saved")
    post_delete.connect(user_deleted, sender=user, dispatch_uid="completion_aggregator.user_deleted")
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


def name_remembered(
    sender: Any,
    instance: AbstractBaseUser,
    raw: bool = False,
    update_fields: Iterable[str] | None = None,
    **_: Any,
) -> None:
    """Look up what the user is called until now, where this may change it: Django saves ``last_login`` alone."""
    field = sender.USERNAME_FIELD
    if raw or instance.pk is None or (update_fields is not None and field not in update_fields):
        return
    before = sender._default_manager.filter(pk=instance.pk).values_list(field, flat=True).first()
    if before not in (None, instance.get_username()):
        setattr(instance, _BEFORE, before)


def name_followed(sender: Any, instance: AbstractBaseUser, **_: Any) -> None:
    """Let what waits for a user who has another name now wait for that name, in the transaction that changes it."""
    if before := instance.__dict__.pop(_BEFORE, None):
        api.learner_renamed(before, instance.get_username(), instance.pk)


def user_deleted(sender: Any, instance: AbstractBaseUser, **_: Any) -> None:
    """Delete what waits for a user who is gone; all else of ours goes with the user."""
    api.learner_deleted(instance.get_username(), instance.pk)
