"""The store of this site, as its settings say."""

from pathlib import Path

from django.conf import settings

from completion_aggregator.conf import setting
from completion_aggregator.tracking.store import Store

_STORE = "tracking"


def site_store() -> Store:
    """Return the store of the site, whether or not it exists."""
    home = Path(getattr(settings, "HOME", None) or Path.cwd())
    beside = store_in(_path("TRACKING_STORE") or home / _STORE)
    return Store(
        beside.folder,
        (_path("TRACKING_PRIVATE_STORE") or beside.private_folder).absolute(),
        (_path("TRACKING_KEYS") or beside.keys_path).absolute(),
    )


def store_in(folder: Path) -> Store:
    """Return the store of a folder, with the private one and the keys beside it, whether or not it exists."""
    folder = folder.absolute()
    return Store(folder, folder.with_name(f"{folder.name}-private"), folder.with_name(f"{folder.name}-keys.json"))


def _path(name: str) -> Path | None:
    given = setting(name)
    return Path(given) if given else None
