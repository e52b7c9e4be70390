"""A process of its own that turns events into xAPI statements: with event-routing-backends, and the LMS it asks.

Events come as JSON on the standard input, statements go as JSON to the standard output.
"""

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

LMS_ROOT_URL = "https://lms.example.org"
#: What the LMS would hand out for a user, at every request.
EXTERNAL_ID = "00000000-0000-0000-0000-{:012}"


def main() -> None:
    import django
    from django.conf import settings

    from test_settings_core import INSTALLED_APPS

    stand_in_for_the_lms()
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[*INSTALLED_APPS, "event_routing_backends"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        LMS_ROOT_URL=LMS_ROOT_URL,
        XAPI_AGENT_IFI_TYPE="external_id",
        RUNNING_WITH_TEST_SETTINGS=True,
        OPEN_EDX_FILTERS_CONFIG=json.loads(sys.argv[1]),
    )
    django.setup()
    sys.stdout.write(json.dumps(statements(json.load(sys.stdin))))


def statements(events: list[dict[str, Any]]) -> list[Any]:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from event_routing_backends.processors.xapi.registry import XApiTransformersRegistry

    model = get_user_model()
    with connection.schema_editor() as editor:
        editor.create_model(model)
    for pk in {event["data"]["user_id"] for event in events}:
        model._default_manager.create(pk=pk, username=f"user{pk}")
    return [json.loads(XApiTransformersRegistry.get_transformer(event).transform().to_json()) for event in events]


def stand_in_for_the_lms() -> None:
    """Put modules where event-routing-backends looks for the LMS."""
    provide("common.djangoapps.student.models", get_potentially_retired_user_by_username=nobody)
    provide("openedx.core.djangoapps.content.course_overviews.api", get_course_overviews=overviews)
    provide("openedx.core.djangoapps.external_user_ids.models", ExternalId=ExternalId, ExternalIdType=IdType)


def nobody(username: str) -> None:
    """Know no retired user."""


def overviews(keys: list[Any]) -> list[dict[str, str]]:
    return [{"display_name": f"The title of {key}"} for key in keys]


class IdType:
    XAPI = "xapi"


class ExternalId:
    @staticmethod
    def add_new_user_id(user: Any, kind: str) -> tuple[SimpleNamespace, bool]:
        assert kind == IdType.XAPI
        return SimpleNamespace(external_user_id=EXTERNAL_ID.format(user.pk)), True


def provide(path: str, **names: object) -> None:
    parts = path.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        module = sys.modules.setdefault(name, ModuleType(name))
        module.__path__ = []
    vars(sys.modules[path]).update(names)


if __name__ == "__main__":
    main()
