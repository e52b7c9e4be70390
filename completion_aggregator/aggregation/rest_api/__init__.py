"""The REST API: what learners, teachers and other services ask over HTTP."""
