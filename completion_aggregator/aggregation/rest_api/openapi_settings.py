"""The setting ``SPECTACULAR_SETTINGS`` of a site that describes this API; needs nothing to be loaded."""

from typing import Any, Final

from completion_aggregator import __version__

DESCRIPTION: Final = """\
How far the learners of a course are: what each has completed of what they can see, summed up over units, subsections,
sections and the course.
"""

SPECTACULAR_SETTINGS: Final[dict[str, Any]] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Completion Aggregator",
    "DESCRIPTION": DESCRIPTION,
    # What is described is the release to come: a build before it describes the same.
    "VERSION": __version__.partition(".dev")[0],
    "LICENSE": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
    "TAGS": [
        {"name": "v2", "description": "What one would ask for today."},
        {"name": "v1", "description": "For clients that were made for it; nothing will be added or taken away."},
        {"name": "v0", "description": "As v1, for older clients; and to complete a block."},
        {"name": "log in", "description": "How programs log in to a standalone site."},
    ],
    "PREPROCESSING_HOOKS": ["completion_aggregator.aggregation.rest_api.openapi.described"],
    "POSTPROCESSING_HOOKS": ["completion_aggregator.aggregation.rest_api.openapi.completed"],
    # The interactive page and all that it loads come from the site itself.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "displayOperationId": True, "filter": True},
}
