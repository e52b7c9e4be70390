"""Tables of the platform beside the events: from its database, or from a dump of it."""

from completion_aggregator.tracking.refresh.activity import refresh_activity
from completion_aggregator.tracking.refresh.courses import refresh_courses
from completion_aggregator.tracking.refresh.database import DatabaseSource
from completion_aggregator.tracking.refresh.dumped import DumpSource
from completion_aggregator.tracking.refresh.forum import refresh_forum
from completion_aggregator.tracking.refresh.grades import refresh_grades
from completion_aggregator.tracking.refresh.platform import PLATFORM_TABLES, refresh_platform
from completion_aggregator.tracking.refresh.site import SITE_TABLES, refresh_site
from completion_aggregator.tracking.refresh.source import Pseudonym, Source
from completion_aggregator.tracking.refresh.summary import RefreshSummary, refresh_all
from completion_aggregator.tracking.refresh.tables import REFRESHED
from completion_aggregator.tracking.refresh.target import ParquetTarget, Target

__all__ = [
    "PLATFORM_TABLES",
    "REFRESHED",
    "SITE_TABLES",
    "DatabaseSource",
    "DumpSource",
    "ParquetTarget",
    "Pseudonym",
    "RefreshSummary",
    "Source",
    "Target",
    "refresh_activity",
    "refresh_all",
    "refresh_courses",
    "refresh_forum",
    "refresh_grades",
    "refresh_platform",
    "refresh_site",
]
