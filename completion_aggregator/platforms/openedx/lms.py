"""The LMS as it is: the only module that imports it, always inside functions.

Each function is one import path and one call, so that a release that moves something is met in one place. What differs
between releases is probed for when it is used; no release is asked for its name. Tables go by app and model name.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model, QuerySet
from django.dispatch import Signal
from opaque_keys.edx.keys import CourseKey, UsageKey

from completion_aggregator.exceptions import InvalidCourse

#: Item banks by name, should the LMS have no class to tell them by.
BANK_TYPES: Final = frozenset({"library_content", "itembank"})


# --- tables --------------------------------------------------------------------------------------------------------


def model(label: str, name: str) -> type[Model] | None:
    """Return a model of the LMS; None where the app or the model is not there."""
    try:
        return apps.get_model(label, name)
    except LookupError:
        return None


def field_of(table: type[Model], column: str) -> str:
    """Return the name of the field that a column of a table has; some differ between releases."""
    return next(field.name for field in table._meta.concrete_fields if field.column == column)


def feature(name: str, default: Any = None) -> Any:
    """Return a setting that older releases keep in ``FEATURES``."""
    found = getattr(settings, name, None)
    return getattr(settings, "FEATURES", {}).get(name, default) if found is None else found


# --- content -------------------------------------------------------------------------------------------------------


def root_usage_key(course_key: CourseKey) -> UsageKey:
    """Return the usage key of the course block; no query."""
    from xmodule.modulestore.django import modulestore

    key: UsageKey = modulestore().make_course_usage_key(course_key)
    return key


def collected_structure(course_key: CourseKey) -> Any:
    """Return the collected block structure of the course, which the LMS makes now where it has none.

    Raises LookupError for a course that the modulestore does not know, InvalidCourse for one that cannot be collected.
    """
    from openedx.core.djangoapps.content.block_structure.api import get_course_in_cache

    with _known(course_key):
        return get_course_in_cache(course_key)


def name_schemes(names: Iterable[str]) -> None:
    """Have the LMS hang their names on the classes of these schemes, as far as it has them.

    It does so when a scheme is looked up; structures out of its store bring the classes alone.
    """
    from xmodule.partitions.partitions import UserPartition, UserPartitionError

    for name in names:
        with suppress(UserPartitionError):
            UserPartition.get_scheme(name)


def recollect(course_key: CourseKey) -> None:
    """Have the LMS collect the course again if what it has collected is not what is published.

    Raises LookupError or InvalidCourse.
    """
    from openedx.core.djangoapps.content.block_structure.api import update_course_in_cache

    with _known(course_key):
        update_course_in_cache(course_key)


@contextmanager
def _known(course_key: CourseKey) -> Iterator[None]:
    from openedx.core.djangoapps.content.block_structure.exceptions import BlockStructureNotFound, TransformerException
    from xmodule.modulestore.exceptions import ItemNotFoundError

    try:
        yield
    except (BlockStructureNotFound, ItemNotFoundError) as error:
        raise LookupError(f"There is no course {course_key}.") from error
    except TransformerException as error:
        raise InvalidCourse(f"The LMS cannot collect the course {course_key}: {error}") from error


def visible_structure(user: Any, course_key: CourseKey, *, unreleased: bool = False) -> Any:
    """Return the block structure as the LMS shows it to this user, with the blocks of the future if *unreleased*.

    Slow, and it writes: draws, groups, cohorts.
    """
    from lms.djangoapps.course_blocks.api import get_course_blocks

    return get_course_blocks(user, root_usage_key(course_key), allow_start_dates_in_future=unreleased)


def access_transformers(user: Any) -> list[str]:
    """Return the names of the transformers that decide what users see."""
    from lms.djangoapps.course_blocks.api import get_course_block_access_transformers

    return [each.name() for each in get_course_block_access_transformers(user)]


@cache
def bank_types() -> frozenset[str]:
    """Return the block types that are item banks."""
    try:
        from xmodule.item_bank_block import ItemBankMixin
    except ImportError:
        return BANK_TYPES
    return BANK_TYPES | {name for name, block in block_classes() if issubclass(block, ItemBankMixin)}


@cache
def block_classes() -> tuple[tuple[str, type], ...]:
    """Return the installed block types with their classes."""
    from xblock.core import XBlock

    return tuple(XBlock.load_classes())


# --- people --------------------------------------------------------------------------------------------------------


def has_staff_access(user: AbstractBaseUser | AnonymousUser, course_key: CourseKey) -> bool:
    """Return whether the user has staff access to the course; not while masquerading as a learner."""
    from lms.djangoapps.courseware.access import has_access

    return bool(has_access(user, "staff", course_key))


@cache
def superusers_are_staff() -> bool:
    """Return whether whoever is a superuser counts as staff of the site, as in some releases; no query."""
    from common.djangoapps.student.roles import GlobalStaff

    return bool(GlobalStaff().has_user(get_user_model()(is_superuser=True, is_staff=False)))


def role_holders(name: str, course_key: CourseKey) -> QuerySet[Any, Any] | None:
    """Return a query of the users who hold the role of this class in the course; None where there is no such class.

    The classes know where roles are kept.
    """
    from common.djangoapps.student import roles

    found = getattr(roles, name, None)
    return None if found is None else found(course_key).users_with_role()


def has_role(user: Any, names: Iterable[str], course_key: CourseKey) -> bool:
    """Return whether the user holds one of these role classes, of the course or of its organization.

    The roles are read once for each instance of a user, whatever courses are asked about.
    """
    from common.djangoapps.student import roles

    classes = (getattr(roles, name, None) for name in names)
    return any(
        (each(course_key.org) if issubclass(each, roles.OrgRole) else each(course_key)).has_user(user)
        for each in classes
        if each is not None
    )


def teams_are_groups(course_key: CourseKey) -> bool:
    """Return whether content may be restricted to teams in this course."""
    try:
        from openedx.core.lib.teams_config import CONTENT_GROUPS_FOR_TEAMS
    except ImportError:  # where it was at first
        from openedx.core.djangoapps.course_groups.flags import CONTENT_GROUPS_FOR_TEAMS
    return bool(CONTENT_GROUPS_FOR_TEAMS.is_enabled(course_key))


def user_partition_groups(course_key: CourseKey, partitions: Collection[Any], user: Any) -> dict[int, Any]:
    """Return the user's group in each of these partitions, as the LMS gives them: this may assign groups."""
    from xmodule.partitions.partitions_service import get_user_partition_groups

    found: dict[int, Any] = get_user_partition_groups(course_key, partitions, user, "id")
    return found


def gating_config(course_key: CourseKey) -> Any | None:
    """Return the effective settings of content-type gating for the course; None where the LMS has no gating."""
    found: Any = model("content_type_gating", "ContentTypeGatingConfig")
    return found.current(course_key=course_key) if found is not None else None


# --- what it tells ---------------------------------------------------------------------------------------------------


def course_signals() -> list[Signal]:
    """Return what is sent when a course is published; Studio and the LMS import it for themselves."""
    try:
        from xmodule.modulestore.django import SignalHandler
    except ImportError:
        return []
    return [SignalHandler.course_published]


def role_events() -> list[Signal]:
    """Return the public events of access roles that this release knows."""
    return [
        *_events("openedx_events.learning.signals", "COURSE_ACCESS_ROLE_ADDED", "COURSE_ACCESS_ROLE_REMOVED"),
        *_events("openedx_events.authz.signals", "ROLE_ASSIGNMENT_CREATED", "ROLE_ASSIGNMENT_DELETED"),
    ]


def retirement_signals() -> list[Signal]:
    """Return what the LMS sends when a learner is retired; none in Studio, which must not import it for us."""
    if settings.ROOT_URLCONF.partition(".")[0] == "cms":
        return []
    return _events("openedx.core.djangoapps.user_api.accounts.signals", "USER_RETIRE_LMS_MISC")


def _events(module: str, *names: str) -> list[Signal]:
    try:
        found = import_module(module)
    except ImportError:
        return []
    return [getattr(found, name) for name in names if hasattr(found, name)]
