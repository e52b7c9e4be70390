"""Who was seen in a load, under which names, and when first and last: rows of the private table ``person``."""

from collections.abc import Iterator

import pyarrow as pa

from completion_aggregator.tracking import tables
from completion_aggregator.tracking.columns import DAY
from completion_aggregator.tracking.ripemd import legacy_anon_id
from completion_aggregator.tracking.schemas import schema_of


class PeopleSeen:
    """Gathers people; *legacy_ids*: with the hash that json_to_relation had for each name."""

    def __init__(self, *, legacy_ids: bool) -> None:
        self._legacy_ids = legacy_ids
        self._seen: list[pa.Table] = []

    def add(self, seen: pa.Table) -> None:
        """Add people of a batch: person, user id, name, first and last time."""
        self._seen.append(seen)

    def pieces(self) -> Iterator[tuple[str, int, pa.Table]]:
        """Yield table, day and rows, each person and name once."""
        seen = pa.concat_tables(self._seen) if self._seen else None
        if seen is None or not seen.num_rows:
            return
        whole = seen.group_by(["person", "user_id", "username"]).aggregate([("time_min", "min"), ("time_max", "max")])
        names = whole["username"].to_pylist()
        legacy = [legacy_anon_id(name) if name else None for name in names] if self._legacy_ids else [None] * len(names)
        person = pa.ExtensionArray.from_storage(pa.uuid(), whole["person"].combine_chunks())
        columns = [whole[name] for name in ("user_id", "username", "time_min_min", "time_max_max")]
        rows = pa.table([person, *columns, pa.array(legacy, pa.string())], schema=schema_of(tables.PERSON))
        # One part for the load, under the day of its last event: it is a map, nobody asks it for a day.
        last = max(rows["time"].cast(pa.int64()).to_pylist())
        yield "person", last // DAY, rows
