"""The models of aggregation, where Django and other packages look for them."""

from completion_aggregator.aggregation.models import (
    AggregatedCourse,
    Aggregator,
    CacheGroupInvalidation,
    CourseContent,
    CourseLeaf,
    CourseProgress,
    CourseTree,
    Crossing,
    Delivery,
    StaleCompletion,
)

__all__ = [
    "AggregatedCourse",
    "Aggregator",
    "CacheGroupInvalidation",
    "CourseContent",
    "CourseLeaf",
    "CourseProgress",
    "CourseTree",
    "Crossing",
    "Delivery",
    "StaleCompletion",
]
