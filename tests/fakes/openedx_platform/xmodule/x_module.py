"""What the LMS adds to every block."""

from xblock.core import XBlockMixin
from xblock.fields import Boolean, DateTime, Scope, String


class XModuleMixin(XBlockMixin):
    """Names and ways of blocks in the LMS."""

    # As the modulestore sets them.
    course_version = None
    subtree_edited_on = None
    #: The blocks above, from the parent to the course.
    above = ()

    display_name = String(default=None, scope=Scope.settings)
    format = String(default=None, scope=Scope.settings)
    end = DateTime(default=None, scope=Scope.settings)
    hide_after_due = Boolean(default=False, scope=Scope.settings)

    @property
    def location(self):
        return self.scope_ids.usage_id

    @property
    def category(self):
        return self.scope_ids.block_type
