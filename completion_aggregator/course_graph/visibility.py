"""Who sees which blocks: the rules of a course, merged along its graph, and the profile they are asked with.

The rules are those of the LMS's default access transformers, as described in "The visibility profile" of the platform's
block structures: release dates, staff-only blocks, group access, and split tests that give way to their children.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from completion_aggregator.course_graph.blocks import SPLIT_TEST, Block, Partition

#: A start before every moment: the block has no date of its own and inherits none.
ALWAYS: Final = int(np.iinfo(np.int64).min)
#: The partition whose group decides more than access, as its denials may come with a message: ids stay as they are.
CONTENT_TYPE_GATE: Final = 51
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: Partition and the groups that it lets in, by partition.
Access: TypeAlias = tuple[tuple[int, frozenset[int]], ...]


def microseconds(moment: datetime) -> int:
    """Return an aware *moment* as microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(micros: int) -> datetime:
    """Return the moment that ``microseconds`` turned into *micros*."""
    return _EPOCH + timedelta(microseconds=micros)


_LATEST: Final = microseconds(datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Profile:
    """All that decides which blocks a learner sees, item-bank draws apart. Equal profiles see equal trees.

    ``released`` counts the distinct release dates that have passed, ``groups`` holds (partition, group or None) of the
    partitions that restrict a block, ``messaging`` the partitions whose denial leaves the block in place with a
    message. ``tree``: where the rules are not known, what the platform itself says, as the children of every block of
    the graph; the rest then means nothing.
    """

    staff: bool = False
    beta: bool = False
    released: int = 0
    groups: tuple[tuple[int, int | None], ...] = ()
    messaging: tuple[int, ...] = ()
    tree: tuple[tuple[int, ...], ...] | None = field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for this profile in a table."""
        exact = "" if self.tree is None else repr(self.tree)
        return blake2b((repr(self) + exact).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """The merged rules of every block, by block number; built by ``merge_rules``.

    ``start``: int64 microseconds or ``ALWAYS``. ``days_early``: float64, NaN where beta testers wait like everybody.
    ``access``: number of the block's entry in ``access_table``; entry 0 lets everybody in.
    """

    start: NDArray[np.int64]
    days_early: NDArray[np.float64]
    staff_only: NDArray[np.bool_]
    split: NDArray[np.bool_]
    access: NDArray[np.uint32]
    access_table: tuple[Access, ...]
    _releases: dict[bool, NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False)

    def restricting_partitions(self) -> dict[int, frozenset[int]]:
        """Return the partitions that restrict a block, each with every group that some block lets in."""
        named: dict[int, frozenset[int]] = {}
        for access in self.access_table:
            for partition, allowed in access:
                named[partition] = named.get(partition, frozenset()) | allowed
        return named

    def profile(
        self,
        *,
        now: datetime,
        staff: bool = False,
        beta: bool = False,
        groups: Mapping[int, int | None] | None = None,
        messaging: Collection[int] = (),
        unreleased: bool = False,
    ) -> tuple[Profile, datetime | None]:
        """Return the profile of such a learner, and the next moment at which it may change by itself.

        What cannot matter in this course is left out, so that as many learners as possible share a profile.
        """
        if staff:
            return Profile(staff=True), None
        beta = beta and not unreleased and bool(self._early().any())
        releases = self.releases(beta=beta)
        released, valid_until = len(releases), None
        if not unreleased:
            released = int(np.searchsorted(releases, microseconds(now), side="left"))
            valid_until = moment_of(int(releases[released])) if released < len(releases) else None
        restricting = self.restricting_partitions()
        return Profile(
            beta=beta,
            released=released,
            groups=tuple((p, _canonical(p, (groups or {}).get(p), restricting[p])) for p in sorted(restricting)),
            messaging=tuple(sorted(set(messaging) & restricting.keys())),
        ), valid_until

    def releases(self, *, beta: bool) -> NDArray[np.int64]:
        """Return the distinct moments at which blocks open, ascending, for beta testers or for the others."""
        if beta not in self._releases:
            starts = np.unique(self._effective_starts(beta=beta))
            self._releases[beta] = starts[starts != ALWAYS]
        return self._releases[beta]

    def hidden(self, profile: Profile) -> NDArray[np.bool_]:
        """Return which blocks the rules take from *profile*, whatever becomes of their parents."""
        if profile.staff:
            return np.zeros(len(self.start), dtype=np.bool_)
        hidden = self.staff_only.copy()
        closed = self.releases(beta=profile.beta)[profile.released :]
        if len(closed):
            hidden |= self._effective_starts(beta=profile.beta) >= closed[0]
        denied = np.array([_denies(access, profile) for access in self.access_table], dtype=np.bool_)
        # A split test is replaced by its children before groups are asked; they inherit its groups anyway.
        hidden |= denied[self.access] & ~self.split
        return hidden

    def visible_children(self, children: Sequence[Sequence[int]], profile: Profile) -> Sequence[Sequence[int]]:
        """Return the children of every block that *profile* sees; those of an unseen block mean nothing.

        Block 0 is the root and always there; where a rule hides it, nothing is seen below it. A split test gives way to
        its children, which join its parents' children at the end, as in the LMS.
        """
        if profile.tree is not None:
            return profile.tree
        hidden = self.hidden(profile)
        if hidden[0]:
            # A block may open before the course does, as for beta testers of its own: nobody comes to it.
            return ((),) * len(children)
        if not hidden.any() and not self.split.any():
            return children
        return _pruned([list(each) for each in children], hidden, self.split)

    def _effective_starts(self, *, beta: bool) -> NDArray[np.int64]:
        if not beta:
            return self.start
        starts = self.start.copy()
        for block in np.flatnonzero(self._early()):
            starts[block] = _earlier(int(starts[block]), float(self.days_early[block]))
        return starts

    def _early(self) -> NDArray[np.bool_]:
        """Return which blocks open at another moment for beta testers."""
        early: NDArray[np.bool_] = ~np.isnan(self.days_early) & (self.days_early != 0) & (self.start != ALWAYS)
        return early


def merge_rules(blocks: Sequence[Block], children: Sequence[Sequence[int]], partitions: Collection[Partition]) -> Rules:
    """Work out what each block inherits. *blocks* are in topological order, the root first.

    start: the later of a block's own and the earliest of its parents. Staff-only: its own, or all parents'. Groups, per
    partition: its own, cut by what its parents let in together. Groups of partitions that the course lacks mean
    nothing.
    """
    parents: list[list[int]] = [[] for _ in blocks]
    for parent, each in enumerate(children):
        for child in each:
            parents[child].append(parent)
    known = {partition.id for partition in partitions}
    start: list[int] = []
    staff_only: list[bool] = []
    access: list[dict[int, frozenset[int]]] = []
    for block, above in zip(blocks, parents, strict=True):
        own = ALWAYS if block.start is None else microseconds(block.start)
        start.append(max(own, min((start[p] for p in above), default=ALWAYS)))
        staff_only.append(block.staff_only or (bool(above) and all(staff_only[p] for p in above)))
        own_access = {p: groups for p, groups in block.group_access.items() if p in known}
        access.append(_merge_access(own_access, [access[p] for p in above]))
    table: dict[Access, int] = {(): 0}
    numbers = [table.setdefault(tuple(sorted(each.items())), len(table)) for each in access]
    return Rules(
        start=np.array(start, dtype=np.int64),
        days_early=np.array(
            [np.nan if b.days_early_for_beta is None else b.days_early_for_beta for b in blocks], dtype=np.float64
        ),
        staff_only=np.array(staff_only, dtype=np.bool_),
        split=np.array([block.type == SPLIT_TEST for block in blocks], dtype=np.bool_),
        access=np.array(numbers, dtype=np.uint32),
        access_table=tuple(table),
    )


def _merge_access(
    own: dict[int, frozenset[int]], parents: Sequence[Mapping[int, frozenset[int]]]
) -> dict[int, frozenset[int]]:
    merged = dict(own)
    inherited = set.intersection(*(set(access) for access in parents)) if parents else set()
    for partition in inherited:
        allowed = frozenset().union(*(access[partition] for access in parents))
        merged[partition] = own[partition] & allowed if partition in own else allowed
    return merged


def _earlier(start: int, days: float) -> int:
    """Return *start*, so many days earlier, within the moments that there are."""
    most = timedelta.max.days
    ahead = timedelta(days=min(max(days, -most), most)) // _MICROSECOND
    return min(max(start - ahead, ALWAYS + 1), _LATEST)


def _canonical(partition: int, group: int | None, named: frozenset[int]) -> int | None:
    return group if group in named or partition == CONTENT_TYPE_GATE else None


def _denies(access: Access, profile: Profile) -> bool:
    groups = dict(profile.groups)
    denying = [partition for partition, allowed in access if groups.get(partition) not in allowed]
    return bool(denying) and not any(partition in profile.messaging for partition in denying)


def _pruned(children: list[list[int]], hidden: NDArray[np.bool_], split: NDArray[np.bool_]) -> list[list[int]]:
    parents: list[list[int]] = [[] for _ in children]
    seen = np.zeros(len(children), dtype=np.bool_)
    seen[0] = True
    for block, below in enumerate(children):
        above = [parent for parent in parents[block] if seen[parent]]
        gives_way = bool(split[block]) and block != 0
        for parent in above if hidden[block] or gives_way else ():
            children[parent].remove(block)
            if not hidden[block]:
                children[parent] += below
        seen[block] |= bool(above) and not hidden[block] and not gives_way
        for child in below if not hidden[block] else ():
            parents[child] += above if gives_way else [block]
    return children
