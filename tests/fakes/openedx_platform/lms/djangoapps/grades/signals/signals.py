from django.dispatch import Signal

# user_id, course_id, usage_id, weighted_earned, weighted_possible, score_deleted, grader_response, ...
PROBLEM_WEIGHTED_SCORE_CHANGED = Signal()
