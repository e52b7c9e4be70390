"""The folder where a standalone site keeps its files."""

import os
import secrets
import tempfile
from pathlib import Path

from platformdirs import user_data_path

from completion_aggregator.exceptions import InvalidSetting

VARIABLE = "COMPLETION_AGGREGATOR_HOME"


def prepare_home() -> Path:
    """Return the site's folder, made for its owner alone when it does not exist yet."""
    given = os.environ.get(VARIABLE)
    home = Path(given).expanduser().absolute() if given else user_data_path("completion-aggregator")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InvalidSetting(
            f"{VARIABLE}={home}: cannot make this folder ({error.strerror}). Set {VARIABLE} to one that you may write."
        ) from error
    return home


def secret_key(home: Path) -> str:
    """Return the site's secret key, made once; processes that start together get the same one."""
    path = home / "secret_key"
    try:
        if not path.exists():
            _publish_key(path)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"{path}: cannot make or read the secret key ({error}). Set SECRET_KEY, or {VARIABLE} to another folder."
        ) from error
    if len(key) < 50:
        raise InvalidSetting(f"{path}: damaged. Remove it: a new one is made, and people must log in again.")
    return key


def _publish_key(path: Path) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".secret_key-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(64))
        # A link appears complete or not at all, and the second process to link loses.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
