"""Completion and learning data for Open edX, always current, at any size."""

__version__ = "5.0.0.dev0"
