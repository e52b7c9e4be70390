"""Keeps graded, scored blocks for learners with full access, when their fields are read in an LMS."""

from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string
from xblock.field_data import FieldData

from openedx.features.content_type_gating.helpers import CONTENT_GATING_PARTITION_ID, FULL_ACCESS

DEFAULT_PROVIDERS = [f"{__name__}.ContentTypeGatingFieldOverride"]


class ContentTypeGatingFieldOverride:
    """Adds the gate to ``group_access``, unless the author has said something of it here or above."""

    def __init__(self, fallback):
        self.fallback = fallback

    def get(self, block, name, default):
        """Return the value that the block is to have."""
        if name != "group_access" or not _is_gated(block):
            return default
        access = self.fallback.get(block, name) if self.fallback.has(block, name) else {}
        if not any(CONTENT_GATING_PARTITION_ID in each for each in self.fallback.defaults_above(name)):
            access.setdefault(CONTENT_GATING_PARTITION_ID, [FULL_ACCESS.id])
        return access

    @classmethod
    def enabled_for(cls, course_key):
        """Return whether the gate is shut in this course."""
        return gate_is_enabled(course_key)


class OverridingFieldData(FieldData):
    """Field values as the first provider that has another one gives them."""

    def __init__(self, fallback, providers):
        self._fallback = fallback
        self._providers = [provider(fallback) for provider in providers]

    def _override(self, block, name):
        nothing = object()
        found = (each.get(block, name, nothing) for each in self._providers)
        value = next((each for each in found if each is not nothing), nothing)
        return value is not nothing, value

    def get(self, block, name):
        overridden_, value = self._override(block, name)
        return value if overridden_ else self._fallback.get(block, name)

    def has(self, block, name):
        return self._fallback.has(block, name) or self._override(block, name)[0]

    def set(self, block, name, value):
        self._fallback.set(block, name, value)

    def delete(self, block, name):
        self._fallback.delete(block, name)

    def default(self, block, name):
        return self._fallback.default(block, name)


def enabled_providers(course_key):
    """Return the override providers of the settings that are enabled for the course."""
    names = getattr(settings, "MODULESTORE_FIELD_OVERRIDE_PROVIDERS", DEFAULT_PROVIDERS)
    return [each for each in map(import_string, names) if each.enabled_for(course_key)]


def gate_is_enabled(course_key):
    """Return whether the gate is configured to be shut in this course now; no gate where there is no configuration."""
    try:
        model = apps.get_model("content_type_gating", "ContentTypeGatingConfig")
    except LookupError:
        return False
    return model.enabled_for_course(course_key)


def _is_gated(block):
    return bool(block.graded and getattr(block, "has_score", False) and getattr(block, "weight", None) != 0)
