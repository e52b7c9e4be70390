"""Whom lines name, and from where: what the events of a session share, worked out once for many of them."""

from collections.abc import Callable
from sys import intern
from typing import Any, Final

from completion_aggregator.tracking import names, scrub
from completion_aggregator.tracking.countries import Countries
from completion_aggregator.tracking.envelope import Line
from completion_aggregator.tracking.groups import Groups
from completion_aggregator.tracking.pseudonyms import Pseudonyms
from completion_aggregator.tracking.tombstones import Tombstones

#: Characters of the longest that are remembered.
_LONGEST: Final = 2_000
#: Stands for the name of nobody: no JSON and no address holds it.
_NO_NAME: Final = b"\0"

#: The columns that follow from who made an event. ``person`` and ``user_id`` are of whom it is about, the private ones
#: of whoever made it; ``known_as`` is the name under which that person was met, NULL where it is somebody else's.
COLUMNS: Final = (
    *("person", "user_id", "known_as", "session", "country", "agent", "host"),
    *("ip", "username", "raw_session", "is_forgotten"),
)

#: User id, name, session, address, agent and host, as a line has them.
Written = tuple[int | str | float | None, str | None, str | None, str | None, str | None, str | None]


class User:
    """Who a line says it was: number and name, and who that is.

    Texts must not hold the name, also of somebody who was forgotten. ``lows``: in small, in each way that an address
    may have it, ``is_plain`` where there is but one; ``low_bytes``: as JSON of ASCII has it, if it has no escapes.
    """

    __slots__ = ("is_forgotten", "is_plain", "low_bytes", "lows", "name", "number", "person")

    def __init__(self, number: int | None, name: str, person: bytes | None, *, is_forgotten: bool) -> None:
        self.number, self.name, self.person, self.is_forgotten = number, name, person, is_forgotten
        self.lows = names.variants(name)
        self.is_plain = len(self.lows) < 2
        self.low_bytes = name.lower().encode() if name and name.isascii() else _NO_NAME


class Actor:
    """A user at a browser. ``number`` is the one of the columns that follow."""

    __slots__ = ("number", "user", "written")

    def __init__(self, user: User, written: Written, number: int) -> None:
        self.user, self.written, self.number = user, written, number


class Actors(Groups):
    """Whoever was met lately."""

    __slots__ = ("_agents", "_country", "_met", "_met_in_part", "_others", "_pseudonyms", "_tombstones", "_users")

    def __init__(self, pseudonyms: Pseudonyms, countries: Countries, tombstones: Tombstones | None) -> None:
        super().__init__()
        self._pseudonyms, self._tombstones = pseudonyms, tombstones
        self._country = countries.code if countries.is_open else None
        #: By what lines have at their top, where nothing is left for the context to tell; all others apart.
        self._met: dict[Written, Actor] = {}
        self._met_in_part: dict[Written, Actor] = {}
        self._others: dict[tuple[Actor, int], Actor] = {}
        self._users: dict[tuple[Any, str], User] = {}
        self._agents: dict[str, str] = {}

    @property
    def met(self) -> Callable[[Written], Actor | None]:
        """Return what finds whoever was met under what stands at the top of a line, with no call in between."""
        return self._met.get

    def forget(self) -> None:
        """Forget whoever was met."""
        super().forget()
        for memory in (self._met, self._met_in_part, self._others, self._users, self._agents):
            memory.clear()

    def meet(self, line: Line) -> Actor:
        """Return whom a line names, at its top or in its context."""
        context = line.context
        texts = (
            line.username or context.username,
            line.session or context.session,
            line.ip or context.ip,
            line.agent or context.agent,
            line.host or context.host,
        )
        is_whole = line.username and line.session and line.ip and line.agent and line.host
        memory = self._met if is_whole else self._met_in_part
        written = (context.user_id, *texts)
        found = memory.get(written)
        if found is None:
            user = self._user(context.user_id, texts[0] or "")
            found = Actor(user, written, self.add(self._row(written, user, user), written))
            if sum([len(each) for each in texts if each]) <= _LONGEST:
                # Looking somebody up compares texts: those that many have are to be the same, and in the cache.
                *own, agent, host = written
                memory[(*own, intern(agent) if agent else agent, intern(host) if host else host)] = found  # type: ignore[index] # mypy does not count stars
        return found

    def about(self, actor: Actor, user_id: object) -> Actor:
        """Return the actor of an event about this user: staff, or a task of nobody's, may have graded a learner."""
        number = _number(user_id)
        if number is None or number == actor.user.number:
            return actor
        found = self._others.get((actor, number))
        if found is None:
            row = self._row(actor.written, actor.user, self._user(number, ""))
            found = self._others[actor, number] = Actor(actor.user, actor.written, self.add(row, ()))
        return found

    def _user(self, user_id: str | float | None, name: str) -> User:
        found = self._users.get((user_id, name))
        if found is None:
            number = _number(user_id)
            person = self._pseudonyms.person(number, name)
            is_forgotten = self._tombstones is not None and self._tombstones.cover(person, name)
            if is_forgotten:
                number = person = None
            found = User(number, name, person, is_forgotten=is_forgotten)
            if len(name) <= _LONGEST:
                self._users[user_id, name] = found
        return found

    def _agent(self, written: str, user: User) -> str:
        """Return what a browser says of itself, as it may be kept: many say the same, and few name anybody."""
        told = self._agents.get(written)
        if told is None:
            told = scrub.agent(written, "")
            if len(written) <= _LONGEST:
                self._characters += len(written)
                self._agents[written] = told
        low = told.lower()
        return scrub.agent(written, user.name) if any(each in low for each in user.lows) else told

    def _row(self, written: Written, user: User, about: User) -> tuple[Any, ...]:
        _, _, session, ip, agent, host = written
        name = user.name
        agent = self._agent(agent, user) if agent else agent
        country = self._country(ip) if ip and self._country else None
        if user.is_forgotten or about.is_forgotten:
            return about.person, about.number, None, None, country, agent, host, None, None, None, True
        is_own = about is user
        keyed = self._pseudonyms.session(session) if session and is_own else None
        known_as = name if is_own else None
        told = (known_as or None, keyed, country, agent, host, ip or None, name or None, session or None, False)
        return about.person, about.number, *told


def _number(user_id: object) -> int | None:
    if isinstance(user_id, int) and not isinstance(user_id, bool):
        return user_id if 0 <= user_id < 2**63 else None
    if isinstance(user_id, float):
        return int(user_id) if user_id.is_integer() and 0 <= user_id < 2**53 else None
    if isinstance(user_id, str) and user_id.isascii() and user_id.isdigit() and len(user_id) < 19:
        return int(user_id)
    return None
