"""A step of a filter, as a site writes one: imported only where openedx-filters is installed."""

from typing import Any

from openedx_filters import PipelineStep


class Mark(PipelineStep):  # type: ignore[misc]  # a library without types
    """Adds to the address of an object."""

    def run_filter(self, transformer: Any, result: Any) -> dict[str, Any]:
        result.id += "#marked"
        return {"transformer": transformer, "result": result}
