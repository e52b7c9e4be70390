"""What a site posts to others, described."""

from typing import Any, Final

from completion_aggregator.aggregation.rest_api.openapi_components import ref

THRESHOLD: Final[dict[str, Any]] = {
    "type": "threshold_reached",
    "event_id": "8f14e45f-ceea-467f-a8d4-3ad0a1c1f4b7",
    "user_id": 17,
    "username": "ana",
    "course_key": "course-v1:DemoX+Moon+2026",
    "block_key": "block-v1:DemoX+Moon+2026+type@chapter+block@flight",
    "block_type": "chapter",
    "threshold": 1.0,
    "percent": 1.0,
    "reached_at": "2026-09-02T08:00:00+00:00",
    "crossing": 1,
}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"in": "header", "name": name, "required": True, "schema": {"type": "string"}, "description": description}


WEBHOOKS: Final[dict[str, Any]] = {
    "threshold_reached": {
        "post": {
            "operationId": "threshold_reached",
            "summary": "A learner reached a threshold",
            "description": "For each crossing of a threshold in `COMPLETION_AGGREGATOR_THRESHOLDS`, to each address in"
            " `COMPLETION_AGGREGATOR_WEBHOOKS`; again after a while, for some days, until an answer is 2xx. Redirects"
            " are not followed.",
            "parameters": [
                _header("Idempotency-Key", "The `event_id`: a second post with the same key tells nothing new."),
                _header("Completion-Timestamp", "When this was sent, in seconds since 1970."),
                _header(
                    "Completion-Signature",
                    "`sha256=` and, in hexadecimal digits, the HMAC-SHA256 with the secret of the webhook over the"
                    " timestamp, a full stop and the body.",
                ),
            ],
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": ref("ThresholdReached"),
                        "examples": {"Example": {"value": THRESHOLD}},
                    }
                },
            },
            "responses": {"2XX": {"description": "Taken: it is not sent again."}},
        }
    }
}
