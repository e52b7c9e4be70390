"""Completions and course graphs in, tallies of learners and courses out. The door is ``api``."""
