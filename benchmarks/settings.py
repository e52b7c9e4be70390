"""Django settings of one measurement: those of the tests, on the database and with the levels that it names."""

import os

from completion_aggregator.platforms.standalone.database import database
from test_settings import *  # noqa: F403  (the same apps)

_database = database(os.environ["BENCH_DATABASE_URL"])
_folder, _slash, _name = str(_database["NAME"]).rpartition("/")
# Never the database that is named, which may be in use. The collation is that of the replaced package's benchmark.
_mysql = {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_unicode_ci"} if _database["ENGINE"].endswith("mysql") else {}
_database["TEST"] = {"NAME": f"{_folder}{_slash}test_{_name}"} | _mysql
if _mysql:
    _database["OPTIONS"] |= {"local_infile": True}  # the bare statements are given the best that there is
DATABASES = {"default": _database}
COMPLETION_AGGREGATOR_PLATFORM = os.environ["BENCH_PLATFORM"]
COMPLETION_AGGREGATOR_ASYNC_AGGREGATION = True
COMPLETION_AGGREGATOR_PROJECTED_BLOCK_TYPES = os.environ["BENCH_PROJECTED"].split(",")
