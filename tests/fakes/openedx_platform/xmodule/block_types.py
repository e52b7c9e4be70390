"""The block types of the LMS, with the attributes that collected structures hold. Entry points name these classes."""

from xblock.completable import XBlockCompletionMode
from xblock.core import XBlock
from xblock.fields import Boolean, DateTime, Float, Integer, List, ReferenceValueDict, Scope

from xmodule.course_metadata_utils import DEFAULT_START_DATE


class _Container(XBlock):
    has_children = True
    completion_mode = XBlockCompletionMode.AGGREGATOR


class CourseBlock(_Container):
    """The course itself."""

    start = DateTime(default=DEFAULT_START_DATE, scope=Scope.settings)
    enrollment_start = DateTime(default=None, scope=Scope.settings)
    enrollment_end = DateTime(default=None, scope=Scope.settings)
    mobile_available = Boolean(default=False, scope=Scope.settings)
    #: Team sets as dicts of id, name, user_partition_id.
    teamsets = List(default=[], scope=Scope.settings)


class ChapterBlock(_Container):
    """A section."""


class SequentialBlock(_Container):
    """A subsection."""


class VerticalBlock(_Container):
    """A unit."""


class ConditionalBlock(_Container):
    """Children that show on a condition; structures hold them always."""


class RandomizeBlock(_Container):
    """Children of which one shows."""


class SplitTestBlock(_Container):
    """One child for each group of a partition."""

    user_partition_id = Integer(default=-1, scope=Scope.content)
    group_id_to_child = ReferenceValueDict(default={}, scope=Scope.content)


class HtmlBlock(XBlock):
    """Text."""

    completion_mode = XBlockCompletionMode.COMPLETABLE


class VideoBlock(XBlock):
    """A video."""

    completion_mode = XBlockCompletionMode.COMPLETABLE
    has_custom_completion = True


class ProblemBlock(XBlock):
    """A problem."""

    completion_mode = XBlockCompletionMode.COMPLETABLE
    has_score = True
    weight = Float(default=None, scope=Scope.settings)


class DiscussionBlock(XBlock):
    """A discussion."""

    completion_mode = XBlockCompletionMode.EXCLUDED


class HiddenBlock(XBlock):
    """A block whose type nobody has installed."""
