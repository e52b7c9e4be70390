"""How a progress event becomes an xAPI statement. Imported only where ``event_routing_backends`` is installed."""

from typing import Any, ClassVar, Final

from event_routing_backends.processors.openedx_filters.decorators import openedx_filter
from event_routing_backends.processors.xapi import constants
from event_routing_backends.processors.xapi.registry import XApiTransformersRegistry
from event_routing_backends.processors.xapi.transformer import XApiTransformer
from tincan import Activity, ActivityDefinition, Extensions, LanguageMap, Result, Verb

#: What sites name in OPEN_EDX_FILTERS_CONFIG to change the object of our statements.
OBJECT_FILTER: Final = "completion_aggregator.xapi.progress.get_object"


class ProgressTransformer(XApiTransformer):  # type: ignore[misc]  # a library without types
    """The learner progressed in the block; the course comes from the context of the event."""

    activity_type: ClassVar[str] = constants.XAPI_ACTIVITY_MODULE
    additional_fields = ("result",)
    _verb = Verb(id=constants.XAPI_VERB_PROGRESSED, display=LanguageMap({constants.EN: constants.PROGRESSED}))

    @openedx_filter(filter_type=OBJECT_FILTER)  # type: ignore[untyped-decorator]
    def get_object(self) -> Any:
        """Return the block as an activity."""
        return Activity(
            id=self.get_object_iri("xblock", self.get_data("data.block_id", required=True)),
            definition=ActivityDefinition(type=self.activity_type),
        )

    def get_result(self) -> Any:
        """Return whether the block is complete, and the percent."""
        percent = self.get_data("data.percent", required=True)
        return Result(
            completion=percent == 1.0, extensions=Extensions({constants.XAPI_ACTIVITY_PROGRESS: percent * 100})
        )


@XApiTransformersRegistry.register("openedx.completion_aggregator.progress.chapter")
@XApiTransformersRegistry.register("openedx.completion_aggregator.progress.sequential")
@XApiTransformersRegistry.register("openedx.completion_aggregator.progress.vertical")
class ModuleProgressTransformer(ProgressTransformer):
    """Progress in a part of a course."""


@XApiTransformersRegistry.register("openedx.completion_aggregator.progress.course")
class CourseProgressTransformer(ProgressTransformer):
    """Progress in a course."""

    activity_type = constants.XAPI_ACTIVITY_COURSE
