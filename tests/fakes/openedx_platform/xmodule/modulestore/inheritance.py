"""Fields that blocks take from the block above when they have none of their own."""

from copy import deepcopy

from xblock.core import XBlockMixin
from xblock.field_data import FieldData
from xblock.fields import Boolean, DateTime, Dict, Float, Integer, List, Scope, String

from xmodule.course_metadata_utils import DEFAULT_START_DATE


class InheritanceMixin(XBlockMixin):
    """The fields that are inherited."""

    graded = Boolean(default=False, scope=Scope.settings)
    start = DateTime(default=DEFAULT_START_DATE, scope=Scope.settings)
    due = DateTime(default=None, scope=Scope.settings)
    relative_weeks_due = Integer(default=None, scope=Scope.settings)
    visible_to_staff_only = Boolean(default=False, scope=Scope.settings)
    group_access = Dict(default={}, scope=Scope.settings)
    days_early_for_beta = Float(default=None, scope=Scope.settings)
    self_paced = Boolean(default=False, scope=Scope.settings)
    hide_from_toc = Boolean(default=False, scope=Scope.settings)
    show_correctness = String(default="always", scope=Scope.settings)
    showanswer = String(default="attempted", scope=Scope.settings)
    max_attempts = Integer(default=None, scope=Scope.settings)
    in_entrance_exam = Boolean(default=False, scope=Scope.settings)
    user_partitions = List(default=[], scope=Scope.settings)


INHERITABLE = frozenset(InheritanceMixin.fields)


class InheritingFieldData(FieldData):
    """The values that the author set on a block; its defaults are those of the nearest block above that has one."""

    def __init__(self, own, above):
        """``above``: the values that the author set on the first parent, on its first parent, and so on."""
        self._own = own
        self._above = above

    def get(self, block, name):
        # A caller may change what it gets: the store stays as it is.
        return deepcopy(self._own[name])

    def has(self, block, name):
        return name in self._own

    def set(self, block, name, value):
        self._own[name] = value

    def delete(self, block, name):
        del self._own[name]

    def defaults_above(self, name):
        """Return the values of this field that were set on the blocks above."""
        return [values[name] for values in self._above if name in values]

    def default(self, block, name):
        if name in INHERITABLE:
            for values in self._above:
                if name in values:
                    return deepcopy(values[name])
        raise KeyError(name)
