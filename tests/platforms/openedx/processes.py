"""What a process of the LMS remembers of courses and rules, and what it is to be a new one."""

from completion_aggregator.aggregation import api as aggregation
from completion_aggregator.platforms.openedx import content, exact, gating


def forget() -> None:
    """Be another process: nothing of ours is remembered but what is stored."""
    aggregation.forget()
    content.forget()
    exact.forget()
    gating.forget()
