"""The ports of a process are made without touching the network."""

import pytest

from adapters.cloudwatch_audit import CloudWatchAudit
from adapters.connection import connect, trending_rule
from adapters.kinesis_analytics import KinesisAnalytics
from adapters.pseudonyms import Pseudonyms
from config import answers
from config.errors import ConfigError
from config.settings import Settings
from domain.events import InteractionType
from tests.fakes import RecordingMetrics


@pytest.mark.usefixtures("socket_disabled")
def test_connecting_opens_no_socket() -> None:
    ports = connect(Settings(), RecordingMetrics())
    assert ports.clock() > 0


def test_analytics_and_audit_hide_users_with_the_key_of_the_settings() -> None:
    ports = connect(Settings(pseudonym_key="key"), RecordingMetrics())
    assert isinstance(ports.analytics, KinesisAnalytics)
    assert isinstance(ports.audit, CloudWatchAudit)
    for adapter in (ports.analytics, ports.audit):
        assert adapter._pseudonyms.of("hana") == Pseudonyms("key").of("hana")


def test_days_of_sessions_are_whole_days() -> None:
    assert Settings(session_days=2).session_seconds == 2 * 86_400


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://host:port/0"])
def test_a_wrong_redis_url_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ConfigError, match="MANGAASSIST_REDIS_URL"):
        connect(Settings(redis_url=url), RecordingMetrics())


def test_the_declared_rule_weighs_every_interaction() -> None:
    rule = trending_rule(answers.declared().trending)
    assert {kind.value: rule.weight(kind, 8) for kind in InteractionType} == {
        "view": 1,
        "cart": 3,
        "purchase": 5,
        "read": 2,
        "rating": 4,
        "lookup": 1,
    }
    assert (rule.half_life_seconds, rule.window_seconds) == (86_400, 7 * 86_400)
    assert rule.min_visitors == 3
