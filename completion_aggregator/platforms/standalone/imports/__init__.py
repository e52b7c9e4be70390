"""Learners and their completions, read from files of any size."""
