"""Forget somebody: private rows go, events stay without person and session, and old logs do not bring them back."""

from completion_aggregator.tracking.forgetting.erasure import Advance, Forgotten, forget

__all__ = ["Advance", "Forgotten", "forget"]
