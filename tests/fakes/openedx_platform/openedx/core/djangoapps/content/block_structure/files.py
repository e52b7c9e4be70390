"""The folder of the files that collected structures are in."""

import atexit
import shutil
import tempfile
from functools import cache

from django.conf import settings
from django.core.files.storage import FileSystemStorage


@cache
def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="lms-block-structures-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def structure_storage() -> FileSystemStorage:
    """Return the storage that the settings ask for, or a folder of this process that goes with it."""
    asked = settings.BLOCK_STRUCTURES_SETTINGS.get("STORAGE_KWARGS")
    return FileSystemStorage(**asked) if asked else FileSystemStorage(location=_folder())
