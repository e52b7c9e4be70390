import pytest

from completion_aggregator.exceptions import InvalidSetting
from completion_aggregator.platforms.standalone.event_bus import configuration


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("URL", "TOPIC_PREFIX", "TOPICS", "GROUP"):
        monkeypatch.delenv(f"EVENT_BUS_{name}", raising=False)


def test_without_variables_there_is_no_bus():
    found = configuration.django_settings()
    assert (found["EVENT_BUS_REDIS_CONNECTION_URL"], found["EVENT_BUS_TOPIC_PREFIX"]) == (None, None)
    assert (found["EVENT_BUS_TOPICS"], found["EVENT_BUS_GROUP"]) == (
        ["completion-lifecycle", "enrollment-lifecycle"],
        "completion-aggregator",
    )


def test_the_variables_name_the_bus(monkeypatch):
    monkeypatch.setenv("EVENT_BUS_URL", "rediss://:hunter2@redis.example.org:6380/3")
    monkeypatch.setenv("EVENT_BUS_TOPIC_PREFIX", "prod")
    monkeypatch.setenv("EVENT_BUS_TOPICS", "a, b")
    monkeypatch.setenv("EVENT_BUS_GROUP", "second")
    found = configuration.django_settings()
    assert found["EVENT_BUS_REDIS_CONNECTION_URL"] == "rediss://:hunter2@redis.example.org:6380/3?socket_timeout=30"
    assert (found["EVENT_BUS_TOPIC_PREFIX"], found["EVENT_BUS_TOPICS"]) == ("prod", ["a", "b"])
    assert found["EVENT_BUS_GROUP"] == "second"


def test_a_quiet_topic_is_waited_for_less_long_than_a_dead_connection():
    assert configuration.SECONDS_TO_WAIT < configuration.SECONDS_TO_ANSWER


@pytest.mark.parametrize("raw", ["hunter2", "http://:hunter2@host", "redis://", "redis://:hunter2@host:0/1"])
def test_an_address_that_is_none_is_refused_without_its_password(monkeypatch, raw):
    monkeypatch.setenv("EVENT_BUS_URL", raw)
    with pytest.raises(InvalidSetting) as error:
        configuration.django_settings()
    assert str(error.value) == "EVENT_BUS_URL: expected redis://host:6379/0 or rediss://host:6379/0."


def test_a_missing_extra_is_named(settings, monkeypatch):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = "redis://host"
    monkeypatch.setattr(configuration, "find_spec", lambda name: None)
    with pytest.raises(configuration.EventBusNotReady, match=r"completion-aggregator\[standalone,event-bus\]"):
        configuration.check()


def test_an_address_is_shown_without_its_password(settings):
    settings.EVENT_BUS_REDIS_CONNECTION_URL = "redis://me:hunter2@host:6379/1?socket_timeout=30"
    assert configuration.shown_url() == "redis://host:6379/1"
