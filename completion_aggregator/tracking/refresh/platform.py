"""Who is enrolled, in which groups, in which role; and, in private tables, whose accounts those are."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from completion_aggregator.tracking.dump.errors import AbsentTable
from completion_aggregator.tracking.refresh import tables
from completion_aggregator.tracking.refresh.source import Pseudonym, Row, Source, flag, integer, lenient, moment, text
from completion_aggregator.tracking.refresh.summary import Account, RefreshSummary
from completion_aggregator.tracking.refresh.target import Target
from completion_aggregator.tracking.tables import Table

_FORGOTTEN: Final = "{} rows are of nobody known, or of people who asked to be forgotten: not in the private tables"
#: By this table one can tell an LMS.
ENROLLMENTS: Final = "student_courseenrollment"
_PARTITION: Final = "xblock.partition_service.partition_"


@dataclass(frozen=True, slots=True)
class _Copy:
    """A table of ours and where it is from: ``rows`` reads it, ``sources`` are the tables that it reads."""

    table: Table
    rows: Callable[[Source, Pseudonym], Iterator[Row]]
    sources: tuple[str, ...]


def refresh_platform(
    source: Source, target: Target, *, pseudonym: Pseudonym, wanted: Collection[str] = ()
) -> RefreshSummary:
    """Write the tables named in *wanted*; without it all whose source is there, and the notes say which is not.

    Raises AbsentTable for a table that was named, or if there is none at all, and AbsentColumn.
    """
    account, known = Account("platform", target), lenient(pseudonym)
    there = source.tables()
    chosen = [PLATFORM_TABLES[name] for name in PLATFORM_TABLES if not wanted or name in wanted]
    if unknown := sorted(set(wanted) - set(PLATFORM_TABLES)):
        raise AbsentTable("what is refreshed from the platform", unknown, PLATFORM_TABLES)
    absent = {copy.table.name: [name for name in copy.sources if name not in there] for copy in chosen}
    if any(absent.values()) and (wanted or all(absent.values())):
        raise AbsentTable(source.name, {name for names in absent.values() for name in names}, there)
    for copy in chosen:
        if missing := absent[copy.table.name]:
            account.notes.append(f"{copy.table.name} was left as it was: {source.name} has no table {missing[0]}")
        else:
            rows = copy.rows(source, known)
            account.write(copy.table, _remembered(rows, account) if copy.table.is_private else rows)
    return account.close()


def _remembered(rows: Iterator[Row], account: Account) -> Iterator[Row]:
    """Leave out those without a pseudonym: a private table must not bring back whom the open tables forgot."""
    for row in rows:
        if row[0] is None:
            account.counts[_FORGOTTEN] += 1
        else:
            yield row


def _enrollments(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    columns = ("user_id", "course_id", "mode", "is_active", "created")
    for rows in source.rows(ENROLLMENTS, columns):
        for user, course, mode, is_active, created in rows:
            yield pseudonym(user), text(course), text(mode), flag(is_active), moment(created)


def _cohort_members(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    names = _by_id(source, "course_groups_courseusergroup", "name")
    columns = ("user_id", "course_id", "course_user_group_id")
    for rows in source.rows("course_groups_cohortmembership", columns):
        for user, course, cohort in rows:
            (name,) = names.get(cohort, (None,))
            yield pseudonym(user), text(course), integer(cohort), text(name)


def _team_members(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    teams = _by_id(source, "teams_courseteam", "course_id", "team_id", "name", "topic_id")
    columns = ("user_id", "team_id", "date_joined", "last_activity_at")
    for rows in source.rows("teams_courseteammembership", columns):
        for user, number, joined, last in rows:
            course, team, name, topic = teams.get(number, (None,) * 4)
            yield (
                pseudonym(user), text(course), text(team), text(name), text(topic), moment(joined), moment(last),
            )  # fmt: skip


def _partition_members(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    for rows in source.rows("user_api_usercoursetag", ("user_id", "course_id", "key", "value")):
        for user, course, key, value in rows:
            # Other tags are notes that any code of the platform may make.
            if str(key).startswith(_PARTITION):
                partition = str(key).removeprefix(_PARTITION)
                yield pseudonym(user), text(course), text(partition), text(value)


def _course_roles(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    for rows in source.rows("student_courseaccessrole", ("user_id", "course_id", "org", "role")):
        for user, course, org, role in rows:
            yield pseudonym(user), text(course), text(org), text(role)


def _lti_people(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    consumers = _by_id(source, "lti_provider_lticonsumer", "consumer_name")
    columns = ("edx_user_id", "lti_consumer_id", "lti_user_id")
    for rows in source.rows("lti_provider_ltiuser", columns):
        for user, consumer, lti_user in rows:
            (name,) = consumers.get(consumer, (None,))
            yield pseudonym(user), text(name), text(lti_user), integer(user)


def _anonymous_ids(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    for rows in source.rows("student_anonymoususerid", ("user_id", "course_id", "anonymous_user_id")):
        for user, course, anonymous in rows:
            yield pseudonym(user), text(course), text(anonymous), integer(user)


def _users(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    columns = ("id", "username", "email", "is_active", "is_staff", "date_joined", "last_login")
    for rows in source.rows("auth_user", columns):
        for user, username, email, is_active, is_staff, joined, last in rows:
            yield (
                pseudonym(user), integer(user), text(username), text(email), flag(is_active), flag(is_staff),
                moment(joined), moment(last),
            )  # fmt: skip


def _profiles(source: Source, pseudonym: Pseudonym) -> Iterator[Row]:
    columns = ("user_id", "name", "gender", "year_of_birth", "level_of_education", "country")
    for rows in source.rows("auth_userprofile", columns, optional=("language",)):
        for user, name, gender, born, education, country, language in rows:
            yield (
                pseudonym(user), integer(user), text(name), text(gender), integer(born), text(education),
                text(country), text(language),
            )  # fmt: skip


def _by_id(source: Source, table: str, *columns: str) -> Mapping[Any, Row]:
    """Return rows by key: of tables that have as many rows as there are groups, not as there are learners."""
    return {row[0]: row[1:] for rows in source.rows(table, ("id", *columns)) for row in rows}


#: What can be refreshed, by name.
PLATFORM_TABLES: Final[Mapping[str, _Copy]] = {
    copy.table.name: copy
    for copy in (
        _Copy(tables.ENROLLMENT_NOW, _enrollments, (ENROLLMENTS,)),
        _Copy(
            tables.COHORT_MEMBER, _cohort_members, ("course_groups_cohortmembership", "course_groups_courseusergroup")
        ),
        _Copy(tables.TEAM_MEMBER, _team_members, ("teams_courseteammembership", "teams_courseteam")),
        _Copy(tables.PARTITION_MEMBER, _partition_members, ("user_api_usercoursetag",)),
        _Copy(tables.COURSE_ROLE, _course_roles, ("student_courseaccessrole",)),
        _Copy(tables.LTI_PERSON, _lti_people, ("lti_provider_ltiuser", "lti_provider_lticonsumer")),
        _Copy(tables.ANONYMOUS_ID, _anonymous_ids, ("student_anonymoususerid",)),
        _Copy(tables.USER, _users, ("auth_user",)),
        _Copy(tables.PROFILE, _profiles, ("auth_userprofile",)),
    )
}
#: What is read of the platform.
SOURCES: Final = tuple(sorted({name for copy in PLATFORM_TABLES.values() for name in copy.sources}))
