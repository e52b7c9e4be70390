"""Load files in a process that is killed at a point, or is to be interfered with from outside.

Arguments: store, point (or "" to live), its number of times, workers, bytes of a load, then the files.
"""

import os
import signal
import sys
from pathlib import Path


def main(folder: str, point: str, times: str, workers: str, load_bytes: str, *paths: str) -> None:
    from completion_aggregator.tracking import clerk, contents, loading, reading
    from completion_aggregator.tracking.load import Settings
    from completion_aggregator.tracking.sources import listed
    from completion_aggregator.tracking.store import Store

    vars(reading).update(LOAD_BYTES=int(load_bytes), BATCH_EVENTS=50)
    vars(contents).update(_PACKED_BLOCK=20_000)
    left = int(times)

    def reached(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    vars(clerk).update(reached=reached)
    root = Path(folder)
    store = Store(root, root.with_name(f"{root.name}-private"), root.with_name(f"{root.name}-keys.json"))
    settings = Settings(store.roots, store.keys)
    sources = [source for path in paths for source in listed(path)]
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    summary = loading.load(store, sources, settings, lambda *_: None, workers=int(workers))
    sys.exit(1 if summary.failures else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
