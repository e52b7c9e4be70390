"""Completions, enrollments, cohorts and roles, as an LMS tells of them on its event bus."""
