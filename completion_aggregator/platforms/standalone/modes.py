"""How each block type takes part in completion, outside an LMS that could ask the block's class."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from completion_aggregator.conf import setting
from completion_aggregator.course_graph.graph import CompletionMode
from completion_aggregator.exceptions import InvalidSetting

# The child elements of these types are blocks; those of any other type are its own content.
CONTAINERS: Final = frozenset(
    {
        "course",
        "chapter",
        "sequential",
        "vertical",
        "unit",
        "split_test",
        "conditional",
        "library_content",
        "itembank",
        "randomize",
        "wrapper",
        # Names that exports of 2012-2013 use for a sequential; a key keeps the old name.
        "problemset",
        "videosequence",
        "section",
    }
)

BANKS: Final = frozenset({"library_content", "itembank"})

_EXCLUDED: Final = frozenset({"discussion", "excluded_html"})

_COMPLETABLE: Final = frozenset(
    {
        # shipped with Open edX
        "annotatable",
        "customtag",
        "html",
        "library_sourced",  # holds blocks, but its class leaves the mode at the default
        "lti",
        "poll_question",
        "problem",
        "video",
        "videoalpha",
        "word_cloud",
        # installed with Open edX
        "done",
        "drag-and-drop-v2",
        "edx_sga",
        "google-calendar",
        "google-document",
        "lti_consumer",
        "openassessment",
        "pdf",
        "poll",
        "recommender",
        "staffgradedxblock",
        "survey",
        # packages that many sites install
        "activetable",
        "audio",
        "brightcove-video",
        "completable_html",
        "crowdsourcehinter",
        "freetextresponse",
        "h5pxblock",
        "image-explorer",
        "imagemodal",
        "invideoquiz",
        "markdown",
        "ooyala-player",
        "problem-builder",
        "rate",
        "scorm",
        "scormxblock",
        "step-builder",
        "submit-and-compare",
        "ubcpi",
        "vectordraw",
    }
)

KNOWN: Final[Mapping[str, CompletionMode]] = {
    **dict.fromkeys(CONTAINERS, CompletionMode.AGGREGATOR),
    **dict.fromkeys(_COMPLETABLE, CompletionMode.COMPLETABLE),
    **dict.fromkeys(_EXCLUDED, CompletionMode.EXCLUDED),
}


@dataclass(frozen=True, slots=True)
class ModeTable:
    """Completion mode by block type; a type that is not in the table is unknown, and excluded."""

    modes: Mapping[str, CompletionMode]
    containers: frozenset[str] = CONTAINERS

    @classmethod
    def from_settings(cls) -> Self:
        """Return the known modes with those of the setting ``COMPLETION_MODES`` over them."""
        chosen = {block_type: _mode(block_type, name) for block_type, name in setting("COMPLETION_MODES").items()}
        aggregators = (block_type for block_type, mode in chosen.items() if mode is CompletionMode.AGGREGATOR)
        return cls({**KNOWN, **chosen}, CONTAINERS | frozenset(aggregators))

    def mode(self, block_type: str) -> CompletionMode:
        """Return the mode of *block_type*."""
        return self.modes.get(block_type, CompletionMode.EXCLUDED)

    def unknown(self, block_types: Iterable[str]) -> list[str]:
        """Return those of *block_types* that the table does not know, in the order given."""
        return [block_type for block_type in block_types if block_type not in self.modes]


def _mode(block_type: str, name: str) -> CompletionMode:
    try:
        return CompletionMode(name)
    except ValueError:
        allowed = ", ".join(mode.value for mode in CompletionMode)
        raise InvalidSetting(
            f"COMPLETION_MODES: {block_type!r} has mode {name!r}; it can be one of {allowed}"
        ) from None
