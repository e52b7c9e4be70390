"""Which of our users an account of the LMS is.

The LMS knows people by a number, which its tracking events carry; all its other events carry the username too. An
account is linked with the user of its name when the first event tells the name, whether an import made that user or we
do. Until then it is a placeholder. Nothing else of a person is taken over.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db.models import QuerySet
from django.utils.crypto import get_random_string

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.standalone.event_bus.merging import absorb, courses_of
from completion_aggregator.platforms.standalone.imports.people import is_valid_name
from completion_aggregator.platforms.standalone.models import LmsUser

PLACEHOLDER: Final = "lms-{}"


@dataclass(frozen=True, slots=True)
class Account:
    """An account, as an event tells of it; ``username`` is empty where the event has none."""

    lms_id: int
    username: str
    moment: datetime


def user_of(account: Account) -> Any:
    """Return the user that the account is here: made, renamed or linked, if that is news.

    What no learner of an LMS is called is taken for no name: what she has done counts whatever she is called. In a
    transaction. Of two processes that meet a new account, one fails with an IntegrityError and must do it again.
    """
    if not is_valid_name(account.username):
        account = replace(account, username="")
    link = LmsUser.objects.select_related("user").filter(lms_id=account.lms_id).first()
    if link is None:
        return _linked(account)
    if _is_news(link, account):
        link = LmsUser.objects.select_for_update().get(pk=link.pk)
        if _is_news(link, account):
            _name(link, account)
    return link.user


def _is_news(link: LmsUser, account: Account) -> bool:
    if not account.username or link.named_at is None:
        return bool(account.username)
    return account.username != link.user.get_username() and account.moment > link.named_at


def _linked(account: Account) -> Any:
    user = _owner_of(account)
    if user is None:
        is_free = account.username and not _is_taken(account.username)
        user = _new_user(account.username if is_free else _placeholder(account.lms_id))
    named_at = account.moment if user.get_username() == account.username else None
    LmsUser.objects.create(lms_id=account.lms_id, user=user, named_at=named_at)
    return user


def _name(link: LmsUser, account: Account) -> None:
    """Give our user the name that the LMS tells, or the account the user who has that name."""
    owner = _owner_of(account, but=link.user)
    if owner is None and _is_taken(account.username, but=link.user):
        return  # by an account that the LMS called so later
    former, link.user, link.named_at = link.user, owner or link.user, account.moment
    link.save(update_fields=["user", "named_at"])
    if owner is None:
        _rename(link.user, account.username)
    else:
        absorb(former, owner)


def _owner_of(account: Account, *, but: Any = None) -> Any:
    """Return the user of that name who is no account of the LMS yet; an account that had the name earlier loses it."""
    found = _called(account.username, but=but).first() if account.username else None
    if found is None:
        return None
    holder = LmsUser.objects.filter(user=found).first()
    if holder is None:
        _rename(found, account.username)  # a database that compares without case finds other spellings
        return found
    if holder.named_at is None or holder.named_at < account.moment:
        # What that account is called now, its own next event tells.
        LmsUser.objects.filter(pk=holder.pk).update(named_at=None)
        _rename(found, _placeholder(holder.lms_id))
    return None


def _is_taken(username: str, *, but: Any = None) -> bool:
    return bool(_called(username, but=but).exists())


def _called(username: str, *, but: Any = None) -> QuerySet[Any]:
    users = get_user_model()._default_manager.filter(username=username)
    return users.exclude(pk=but.pk) if but is not None else users


def _new_user(username: str) -> Any:
    user = get_user_model()(username=username, password=make_password(None))
    user.save()
    return user


def _placeholder(lms_id: int) -> str:
    """Return a name that nobody has: a learner of the LMS may be called like a placeholder."""
    name = PLACEHOLDER.format(lms_id)
    return f"{name}-{get_random_string(8)}" if _is_taken(name) else name


def _rename(user: Any, username: str) -> None:
    """Rename a user; what waited under the old name waits under the new one."""
    if user.get_username() == username:
        return
    user.username = username
    user.save(update_fields=["username"])
    for course_key in courses_of(user):
        aggregation.mark_stale(username, course_key)
