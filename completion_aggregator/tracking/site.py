"""The store of this site, as its settings say.

Nothing of the extra is imported before a store is asked for: a site without one can tell that it has none.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings

from completion_aggregator.conf import setting

if TYPE_CHECKING:
    from completion_aggregator.tracking.store import Store

_STORE: Final = "tracking"
#: What a store has, also one that lost its ledger: to that, opening it tells what to do.
_SIGNS: Final = ("ledger.sqlite", "event")


def site_store() -> "Store":
    """Return the store of the site, whether or not it exists."""
    from completion_aggregator.tracking.store import Store

    beside = store_in(site_folder())
    return Store(
        beside.folder,
        (_path("TRACKING_PRIVATE_STORE") or beside.private_folder).absolute(),
        (_path("TRACKING_KEYS") or beside.keys_path).absolute(),
    )


def site_folder() -> Path:
    """Return the folder of the site's store, whether or not it exists; without the extra, too."""
    home = Path(getattr(settings, "HOME", None) or Path.cwd())
    return (_path("TRACKING_STORE") or home / _STORE).absolute()


def has_store() -> bool:
    """Return whether the site has a store, were it a damaged one; without the extra, too."""
    return any((site_folder() / name).exists() for name in _SIGNS)


def store_in(folder: Path) -> "Store":
    """Return the store of a folder, with the private one and the keys beside it, whether or not it exists."""
    from completion_aggregator.tracking.store import Store

    folder = folder.absolute()
    return Store(folder, folder.with_name(f"{folder.name}-private"), folder.with_name(f"{folder.name}-keys.json"))


def _path(name: str) -> Path | None:
    given = setting(name)
    return Path(given) if given else None
