"""Random courses of an LMS, and random learners: ``plan.author()``, ``somebody.join(course, "ann")``.

Courses are trees, or graphs in which a block may be below several; with dates, blocks for staff, partitions of the
schemes, split tests, item banks, and a gate before graded content. Left out is what no LMS has: a bank in a bank, a
split test in a bank, a block that is in a bank and elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from hypothesis import strategies as st
from opaque_keys.edx.keys import CourseKey
from xmodule.partitions.partitions import UserPartition

from tests.platforms.openedx import people
from tests.platforms.openedx.authoring import KEY, LONG_AGO, Course, Node, author, partition

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
DATES = [MONDAY + timedelta(days=days) for days in (0, 1, 2, 7)]
_INSTANT = timedelta(microseconds=1)
#: Moments on, just before and just after every date, and where beta testers find it.
MOMENTS = [
    date - early + side
    for date in DATES
    for early in (timedelta(0), timedelta(days=0.3), timedelta(days=1), timedelta(days=2.5))
    for side in (-_INSTANT, timedelta(0), _INSTANT)
]
COHORTS, SHUFFLED, ASLEEP, VERIFIED, UNKNOWN = 100, 101, 102, 103, 999
TRACKS, GATE = 50, 51
BANKS = ("library_content", "itembank")
_CONTAINERS = ("chapter", "sequential", "vertical", "conditional", "split_test", *BANKS)
_LEAVES = ("html", "problem", "problem", "video", "discussion", "gone")  # nobody has installed the last one


@dataclass(frozen=True)
class Plan:
    """A course to be written. ``verified_until``: None without a verified mode, ``LONG_AGO`` with one that is over."""

    children: tuple[Node, ...]
    partitions: tuple[tuple[int, str, bool], ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    gated: bool = False
    verified_until: datetime | None = None

    def author(self, key: CourseKey = KEY) -> Course:
        """Write the course, with the rows that the LMS has of it, publish it and have it collected."""
        people.overview(key)
        if self.verified_until is not None:
            people.audit_and_verified(key, expires=self.verified_until)
        if self.gated:
            people.gate(key)
        made: tuple[UserPartition, ...] = tuple(
            partition(number, 1, 2, 3, scheme=scheme, active=active) for number, scheme, active in self.partitions
        )
        return author(*self.children, key=key, partitions=made, **self.fields)


@dataclass(frozen=True)
class Somebody:
    """A learner to be. ``cohort``: the group that her cohort stands for; ``draws``: places among a bank's children."""

    role: str = ""
    forum_role: str = ""
    mode: str = ""
    active: bool = True
    held_back: bool = False
    cohort: int | None = None
    tag: str | None = None
    draws: tuple[int, ...] | None = None

    def join(self, course: Course, name: str) -> User:
        """Make the learner, with her rows in the tables of the LMS; as a new request would load her."""
        user = people.learner(name, is_staff=self.role == "global")
        if self.mode:
            people.enroll(user, course.key, self.mode)
            if not self.active:
                people.unenroll(user, course.key)
            if self.held_back:
                people.hold_back(user, course.key)
        self._take_roles(user, course.key)
        if self.cohort is not None:
            people.cohort(course.key, f"of {name}", partition=COHORTS, group=self.cohort, members=[user])
        if self.tag is not None:
            people.tag(user, course.key, SHUFFLED, self.tag)
        self._draw(user, course)
        return people.reloaded(user)

    def _take_roles(self, user: User, course_key: CourseKey) -> None:
        if self.role in people.ROLES:
            people.give_role(self.role, user, course_key)
        elif self.role.startswith("org "):
            people.give_org_role(self.role.removeprefix("org "), user, course_key.org or "")
        if self.forum_role:
            people.give_forum_role(self.forum_role, user, course_key)

    def _draw(self, user: User, course: Course) -> None:
        for key, block in course.draft.blocks.items() if self.draws is not None else ():
            if key.block_type in BANKS:
                # A place that no child has was another child's, who is there no more.
                gone = [course.key.make_usage_key("problem", f"gone{place}") for place in range(20)]
                there = block.children + gone
                people.draw(user, key, [there[place] for place in self.draws or ()])


@dataclass(frozen=True)
class _Sketch:
    kind: str
    fields: Mapping[str, Any]
    places: tuple[tuple[int, int], ...]
    groups: Mapping[int, int]


_access = st.dictionaries(
    st.sampled_from([COHORTS, COHORTS, SHUFFLED, SHUFFLED, ASLEEP, VERIFIED, UNKNOWN, TRACKS, GATE]),
    st.lists(st.integers(1, 3), unique=True, max_size=3), max_size=2,
)  # fmt: skip
_optional_fields: dict[str, st.SearchStrategy[Any]] = {
    "start": st.sampled_from(DATES),
    "visible_to_staff_only": st.sampled_from([True, True, False]),
    "group_access": _access,
    "days_early_for_beta": st.sampled_from([0.0, 0.3, 1.0, 2.5, -1.0]),
    "graded": st.booleans(),
}


@st.composite
def _fields(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    rare = {name: values for name, values in _optional_fields.items() if draw(st.integers(0, 5)) == 5}
    fields = {name: draw(values) for name, values in rare.items()}
    if kind in BANKS:
        fields["max_count"] = draw(st.integers(-1, 4))
    if kind == "problem":
        fields["graded"] = draw(st.booleans())
        fields["weight"] = draw(st.sampled_from([None, None, 1.0, 0.0]))
    if kind == "split_test":
        fields["user_partition_id"] = draw(st.sampled_from([SHUFFLED, SHUFFLED, COHORTS, ASLEEP, UNKNOWN]))
    return fields


@st.composite
def _sketches(draw: st.DrawFn, *, shared: bool) -> _Sketch:
    kind = draw(st.sampled_from(_CONTAINERS) if draw(st.booleans()) else st.sampled_from(_LEAVES))
    places = st.lists(
        st.tuples(st.integers(0, 2**16), st.integers(0, 8)), min_size=1, max_size=3 if shared else 1
    )  # fmt: skip
    groups = st.dictionaries(st.integers(1, 3), st.integers(0, 4), max_size=3)
    return _Sketch(kind, draw(_fields(kind)), tuple(draw(places)), draw(groups) if kind == "split_test" else {})


@st.composite
def courses(
    draw: st.DrawFn, *, max_blocks: int = 24, shared: bool = True, banks: bool = True, splits: bool = True,
    gates: bool = True,
) -> Plan:  # fmt: skip
    """Random courses. *shared*: with blocks below several others; the others: with such blocks or rules."""
    left_out = {*(() if banks else BANKS), *(() if splits else ("split_test",))}
    found = draw(st.lists(_sketches(shared=shared), min_size=1, max_size=max_blocks - 1))
    sketches = [_Sketch("course", {}, (), {}), *(each for each in found if each.kind not in left_out)]
    children = _children(sketches)
    nodes: dict[int, Node] = {}
    for number in reversed(range(1, len(sketches))):
        nodes[number] = _node(number, sketches[number], [nodes[child] for child in children[number]])
    partitions = [
        (COHORTS, "cohort", True), (SHUFFLED, "random", True), (ASLEEP, "cohort", False),
        (VERIFIED, "verification", True),
    ]  # fmt: skip
    return Plan(
        children=tuple(nodes[child] for child in children[0]),
        partitions=tuple(draw(st.sampled_from([partitions] * 5 + [partitions[1:], partitions[:1], []]))),
        fields=draw(_root_fields),
        gated=gates and draw(st.booleans()),
        verified_until=draw(st.sampled_from([None, LONG_AGO, DATES[1], datetime(2099, 1, 1, tzinfo=UTC)])),
    )


_root_fields = st.fixed_dictionaries(
    {"start": st.sampled_from([LONG_AGO] * 6 + [DATES[0], None])},
    optional={
        "days_early_for_beta": st.sampled_from([0.3, 1.0, 2.5]), "graded": st.booleans(),
        "group_access": st.sampled_from([{TRACKS: [1, 2]}, {COHORTS: [1]}]),
    },
)  # fmt: skip


def _children(sketches: Sequence[_Sketch]) -> list[list[int]]:
    """Return the children of each block. Parents come before their children."""
    children: list[list[int]] = [[] for _ in sketches]
    for number, sketch in enumerate(sketches):
        alone = len(sketch.places) == 1 and sketch.kind not in (*BANKS, "split_test")
        containers = [
            above
            for above in range(number)
            if sketches[above].kind in ("course", *_CONTAINERS) and (alone or sketches[above].kind not in BANKS)
        ]
        for choice, place in sketch.places:
            siblings = children[containers[choice % len(containers)]]
            if number not in siblings:
                siblings.insert(place % (len(siblings) + 1), number)
    return children


def _node(number: int, sketch: _Sketch, children: list[Node]) -> Node:
    fields = dict(sketch.fields)
    if sketch.kind == "split_test":
        # A group may have a branch that is there no more.
        branches = [*children, Node("vertical", f"gone{number}")]
        fields["group_id_to_child"] = {str(g): branches[n % len(branches)] for g, n in sketch.groups.items()}
    return Node(sketch.kind, f"b{number}", tuple(children), fields)


def learners() -> st.SearchStrategy[Somebody]:
    """Random learners."""
    return st.builds(
        Somebody,
        role=st.sampled_from(
            [""] * 8 + ["beta_testers"] * 3 + ["global", "staff", "limited_staff", "instructor", "data_researcher"]
            + ["org staff", "org instructor"]
        ),
        forum_role=st.sampled_from([""] * 8 + ["Community TA", "Moderator", "Student"]),
        mode=st.sampled_from(["", "audit", "audit", "verified", "honor", "credit"]),
        active=st.sampled_from([True] * 4 + [False]),
        held_back=st.sampled_from([False] * 4 + [True]),
        cohort=st.sampled_from([None, 1, 2, 3, 7]),
        tag=st.sampled_from([None, "1", "2", "3", "7", "no number"]),
        draws=st.none() | st.lists(st.integers(0, 5), unique=True, max_size=5).map(tuple),
    )  # fmt: skip


def moments() -> st.SearchStrategy[datetime]:
    """Moments at which something may open."""
    return st.sampled_from(MOMENTS)
