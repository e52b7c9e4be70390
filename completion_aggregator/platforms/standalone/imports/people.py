"""Users by name, in bulk; new ones without a password."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password

NAMES_PER_QUERY: Final = 1000
REMEMBERED: Final = 200_000
#: What the LMS takes for a username where it takes Unicode: more than Django's own rule, which has no spaces.
USERNAME: Final = re.compile(r"[\w .@+-]+")


class People:
    """The ids of the users that a file names. Names are compared exactly, also where the database would not."""

    def __init__(self, *, create: bool) -> None:
        self.created = 0
        self._create = create
        self._ids: dict[str, int] = {}

    def ids_of(self, names: Collection[str]) -> dict[str, int]:
        """Return the ids of those *names* that are users, or have just become some."""
        unknown = sorted({name for name in names if name not in self._ids})
        if len(self._ids) + len(unknown) > REMEMBERED:
            self._ids.clear()
            unknown = sorted(set(names))
        self._learn(unknown)
        if self._create:
            self._learn(self._make([name for name in unknown if name not in self._ids]))
        return {name: self._ids[name] for name in names if name in self._ids}

    def reason(self, name: str) -> str:
        """Return why a name that has no id has none."""
        if not self._create:
            return "unknown user"
        if not is_valid_name(name):
            return "not a valid username"
        return "another username differs in case only"

    def _learn(self, names: Sequence[str]) -> None:
        users = get_user_model()._default_manager
        for some in _slices(names):
            self._ids.update(users.filter(username__in=some).values_list("username", "pk"))

    def _make(self, names: Sequence[str]) -> Sequence[str]:
        users = get_user_model()._default_manager
        valid = [name for name in names if is_valid_name(name)]
        for some in _slices(valid):
            before = users.count()
            # A name that differs from a user's in case only is the same name to MariaDB: it is left out, and rejected.
            users.bulk_create([_new_user(name) for name in some], ignore_conflicts=True)
            self.created += users.count() - before
        return valid


def is_valid_name(name: str) -> bool:
    """Say whether a learner of an LMS may be called so, and the table has room for it."""
    room = get_user_model()._meta.get_field("username").max_length or 0
    return len(name) <= room and name == name.strip() and USERNAME.fullmatch(name) is not None


def _new_user(name: str) -> Any:
    return get_user_model()(username=name, password=make_password(None))


def _slices(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + NAMES_PER_QUERY] for start in range(0, len(names), NAMES_PER_QUERY))
