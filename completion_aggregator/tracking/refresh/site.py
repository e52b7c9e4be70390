"""Who is enrolled on a site that is no LMS: as it lists it, by the numbers and names that the LMS's logs have."""

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Final

from completion_aggregator.tracking.dump.errors import AbsentTable
from completion_aggregator.tracking.refresh.source import Row, moment, text
from completion_aggregator.tracking.refresh.summary import Account, RefreshSummary
from completion_aggregator.tracking.refresh.tables import COHORT_MEMBER, ENROLLMENT_NOW
from completion_aggregator.tracking.refresh.target import Target

if TYPE_CHECKING:
    # It needs Django to be set up, which this room does not: the platform is handed in.
    from completion_aggregator.ports import ListedEnrollment, Platform

#: What a site can tell.
SITE_TABLES: Final = (ENROLLMENT_NOW.name, COHORT_MEMBER.name)
_LEFT: Final = "all else was left as it was: this site is no LMS, and lists enrollments and cohorts alone"
_BY_NAME: Final = (
    "{} enrollments are of learners whose number in the LMS was not told: `person` is made of the name, as in events"
    " without a number"
)

#: Whom the open tables have for a user, by number, else by name; None: somebody who asked to be forgotten.
Person = Callable[[int | None, str], bytes | None]


def refresh_site(
    platform: "Platform", target: Target, *, person: Person, wanted: Collection[str] = ()
) -> RefreshSummary:
    """Write ``enrollment_now`` and ``cohort_member``, or the one of them that is named in *wanted*.

    Raises AbsentTable for any other: the site's own accounts have numbers that no log knows.
    """
    account = Account("platform", target)
    if absent := sorted(set(wanted) - set(SITE_TABLES)):
        raise AbsentTable("this site, which is no LMS,", absent, SITE_TABLES)
    if not wanted:
        account.notes.append(_LEFT)
    if not wanted or ENROLLMENT_NOW.name in wanted:
        account.write(ENROLLMENT_NOW, _enrollments(platform.listed_enrollments(), person, account))
    if not wanted or COHORT_MEMBER.name in wanted:
        account.write(COHORT_MEMBER, _members(platform.listed_enrollments(), person))
    return account.close()


def _enrollments(listed: "Iterator[ListedEnrollment]", person: Person, account: Account) -> Iterator[Row]:
    for each in listed:
        if each.lms_id is None:
            account.counts[_BY_NAME] += 1
        who = person(each.lms_id, each.username)
        yield who, text(each.course_key), text(each.mode), each.is_active, moment(each.created)


def _members(listed: "Iterator[ListedEnrollment]", person: Person) -> Iterator[Row]:
    for each in listed:
        if each.cohort is not None:
            number, name = each.cohort
            yield person(each.lms_id, each.username), text(each.course_key), number, text(name)
