"""A store: its folders, its ledger, its keys, and the lock of the one process that writes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from completion_aggregator.tracking.errors import DamagedStore, NoStore, StoreInUse, TrackingError
from completion_aggregator.tracking.ledger import Ledger, migrate
from completion_aggregator.tracking.parts import Roots
from completion_aggregator.tracking.pseudonyms import Keys, Pseudonyms

LEDGER: Final = "ledger.sqlite"
_LOCK: Final = "lock"
_KEY_ID: Final = "key id"


@dataclass(frozen=True)
class Store:
    """The places of a store: open tables, private tables, and the keys, which are in neither."""

    folder: Path
    private_folder: Path
    keys_path: Path

    @property
    def roots(self) -> Roots:
        """The folders of the two kinds of tables."""
        return Roots(self.folder, self.private_folder)

    @property
    def tables_folder(self) -> Path:
        """Where the tables of the platform are."""
        return self.folder / "tables"

    @cached_property
    def keys(self) -> Keys:
        """The keys, which must be those that the store was begun with."""
        keys = Keys.load(self.keys_path)
        with self.reading() as ledger:
            begun_with = ledger.note(_KEY_ID)
        if begun_with != keys.key_id:
            raise TrackingError(
                f"{self.keys_path} holds the keys {keys.key_id}, but {self.folder} was begun with {begun_with}: with"
                " others, nobody would be recognised. Bring the right file back from a backup."
            )
        return keys

    def pseudonym(self, user_id: int | None, username: str) -> bytes | None:
        """Return whom the open tables have for this user; None for one that was forgotten, too."""
        found = self._pseudonyms.person(user_id, username)
        return None if found in self._tombstones else found

    @cached_property
    def _tombstones(self) -> frozenset[bytes]:
        with self.reading() as ledger:
            return ledger.tombstones()

    @cached_property
    def _pseudonyms(self) -> Pseudonyms:
        return Pseudonyms(self.keys)

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        return (self.folder / LEDGER).exists()

    def create(self) -> None:
        """Make an empty store. Raises TrackingError where there is something already."""
        for folder in (self.folder, self.private_folder):
            if folder.is_dir() and any(folder.iterdir()):
                raise TrackingError(f"{folder} is not empty: name another folder, or take away what is in it")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.private_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.private_folder.chmod(0o700)
        keys = Keys.load(self.keys_path) if self.keys_path.exists() else Keys.create(self.keys_path)
        with closing(Ledger(self.folder / LEDGER, create=True)) as ledger:
            ledger.set_note(_KEY_ID, keys.key_id)

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """Provide the ledger to whoever reads. Raises NoStore."""
        self._require()
        with closing(Ledger(self.folder / LEDGER)) as ledger:
            yield ledger

    def migrate(self) -> int:
        """Bring the ledger to the version of this program; return the one that it had. Raises NoStore, StoreInUse."""
        with self._locked():
            return migrate(self.folder / LEDGER)

    @contextmanager
    def writing(self) -> Iterator[Ledger]:
        """Provide the ledger to the one process that writes. Raises NoStore, StoreInUse."""
        with self._locked(), closing(Ledger(self.folder / LEDGER)) as ledger:
            yield ledger

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._require()
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._lock(descriptor)
            yield
        finally:
            # The lock goes with the descriptor, however the process ends.
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "another process"
            raise StoreInUse(
                f"{self.folder} is being written by process {holder}: wait until it ends, nothing is lost by that"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def _require(self) -> None:
        if not self.exists and (self.folder / "event").is_dir():
            raise DamagedStore(
                f"{self.folder / LEDGER} is missing, and the tables are there: bring it back from a backup"
            )
        if not self.exists:
            raise NoStore(f"there is no store in {self.folder}: `tracking store init` makes one")
