"""The declared tables: what ships is right, and every wrong value is named in one line."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from config import (
    answers,
    budgets,
    endpoints,
    features,
    metrics,
    models,
    queues,
    schedules,
    search,
    settings,
    tables,
    tracing,
)
from config.errors import ConfigError

CONFIG = Path(tables.__file__).parent

Edit = Callable[[str, str, str], Path]


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    """Copies the shipped tables and replaces one text in one of them."""

    def copy_and_replace(table: str, old: str, new: str) -> Path:
        for source in CONFIG.glob("*.toml"):
            shutil.copy(source, tmp_path)
        path = tmp_path / f"{table}.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        return tmp_path

    return copy_and_replace


def test_the_shipped_tables_are_accepted() -> None:
    assert queues.load().queues
    assert schedules.load().schedules
    assert budgets.load().routes
    assert metrics.load().metrics
    assert models.load().routing.phrases
    assert search.load().stop_words.latin
    assert endpoints.load().services
    assert tracing.load().requests.ratio


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('group = "interactive"', 'group = "interactiv"', "unknown group 'interactiv'"),
        ("visibility_seconds = 30", "visibility_seconds = 0", "visibility_seconds"),
        ("visibility_seconds = 30", "visibility_secs = 30", "visibility_secs"),
        ("linger_ms = 80", "linger_ms = 101", "linger_ms"),
        ("pack_jobs = 100", 'pack_jobs = "100"', "pack_jobs"),
        ('jobs = ["session.update"]', 'jobs = ["cache.write"]', "already on the queue"),
        ("max_receives = 5", "max_receives = -1", "max_receives"),
        ("backoff_cap_seconds = 60", "backoff_cap_seconds = 0", "backoff_cap_seconds"),
        ("retention_days = 4", "retention_days = 14", "dead letters must be kept longer"),
        ('pool = "threads"', 'pool = "fibres"', "fibres"),
        ("[queues.sessions]", "[queues.sessions", "not TOML"),
        (
            "[groups.interactive]",
            '[groups.idle]\npool = "solo"\nconcurrency = 1\nmetrics_port = 1\n[groups.interactive]',
            "consumes no queue",
        ),
    ],
)
def test_a_wrong_queue_is_refused_with_its_reason(
    edit: Edit, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=r"queues\.toml") as refusal:
        queues.load(edit("queues", old, new))
    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        ("every_seconds = 0", "every_seconds"),
        ("every_seconds = 60\njitter_seconds = 60", "must be below every_seconds"),
        ("every_seconds = 9000\njitter_seconds = 901", "jitter_seconds"),
        ("every_seconds = 60\njiter_seconds = 1", "jiter_seconds"),
        ('every_seconds = 60\nrefreshes = "title"', "either refreshes or every_seconds"),
        ('refreshes = "titel"', "no kind 'titel'"),
        ('refreshes = "title"\njitter_seconds = 5', "that of its kind"),
    ],
)
def test_a_wrong_schedule_is_refused_with_its_reason(edit: Edit, new: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=r"schedules\.toml") as refusal:
        schedules.load(edit("schedules", 'refreshes = "trending"', new))
    assert complaint in str(refusal.value)


def test_answers_are_refreshed_before_they_expire() -> None:
    kinds = answers.load().kinds.rows()
    refreshed = [row for row in schedules.load().schedules.values() if row.refreshes]
    assert {row.refreshes for row in refreshed} == set(kinds) - {"response", "session"}
    for row in refreshed:
        kind = kinds[str(row.refreshes)]
        assert row.period_seconds + row.jitter_seconds < kind.ttl_seconds


def test_a_segment_longer_than_its_route_is_refused(edit: Edit) -> None:
    with pytest.raises(ConfigError, match="more than the route's total"):
        budgets.load(edit("budgets", "feature_store = 50", "feature_store = 501"))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('type = "counter"', 'type = "countr"', "countr"),
        ('buckets = "fast"', 'buckets = "quick"', "declared buckets"),
        ("fast = [0.00025,", "fast = [9,", "must rise"),
        ("requests_total =", "requests =", "_total"),
        ("relay = 9104", "relay = 91040", "relay"),
        ("beat = 9105", "beet = 9105", "beet"),
    ],
)
def test_a_wrong_metric_is_refused_with_its_reason(
    edit: Edit, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.toml") as refusal:
        metrics.load(edit("metrics", old, new))
    assert complaint in str(refusal.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"queues\.toml: cannot be read"):
        queues.load(tmp_path)


def test_a_misspelt_setting_refuses_to_start() -> None:
    with pytest.raises(ConfigError, match="MANGAASSIST_REDIS_ULR: there is no such setting"):
        settings.read({"MANGAASSIST_REDIS_ULR": "redis://127.0.0.1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MANGAASSIST_PORT", "eighty"),
        ("MANGAASSIST_PORT", "65536"),
        ("MANGAASSIST_TODAY", "yesterday"),
        ("MANGAASSIST_TIMEZONE", "Asia/Tokio"),
        ("MANGAASSIST_OUTBOX_SHARDS", "0"),
        ("MANGAASSIST_REDIS_URL", ""),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError):
        settings.read({name: value})


def test_settings_ignore_what_is_not_ours() -> None:
    assert settings.read({"PATH": "/bin", "AWS_REGION": "eu-west-1"}) == settings.Settings()


def test_the_stores_day_begins_in_its_own_time_zone() -> None:
    evening_in_utc = 1_800_054_000.0  # 2027-01-15T23:00:00Z
    assert settings.read({}).store_day(evening_in_utc) == date(2027, 1, 16)
    utc = settings.read({"MANGAASSIST_TIMEZONE": "UTC"})
    assert utc.store_day(evening_in_utc) == date(2027, 1, 15)
    fixed = settings.read({"MANGAASSIST_TODAY": "2020-02-29"})
    assert fixed.store_day(evening_in_utc) == date(2020, 2, 29)


def test_no_more_spans_go_out_at_once_than_may_wait(edit: Edit) -> None:
    with pytest.raises(ConfigError, match=r"tracing.toml: export.batch_spans: more than"):
        tracing.load(edit("tracing", "queue_spans = 2048", "queue_spans = 1"))


@pytest.mark.parametrize(
    ("variables", "is_named"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "True"}, False),
    ],
)
def test_a_collector_is_where_opentelemetrys_own_variables_say(
    variables: dict[str, str], is_named: bool
) -> None:
    assert settings.names_a_collector(variables) is is_named


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("/srv/state", "/srv/state/mangaassist"),
        ("state", "/home/reader/.local/state/mangaassist"),
        ("", "/home/reader/.local/state/mangaassist"),
    ],
)
def test_a_process_keeps_its_files_where_the_user_keeps_state(
    monkeypatch: pytest.MonkeyPatch, named: str, expected: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", named)
    monkeypatch.setenv("HOME", "/home/reader")
    assert settings.Settings().spool == Path(expected) / "spool"
    assert settings.read({"MANGAASSIST_STATE_DIR": "/data"}).home == Path("/data")
    assert settings.read({"MANGAASSIST_SPOOL_DIR": "/wal"}).spool == Path("/wal")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match="MANGAASSIST_STATE_DIR is needed"):
        _ = settings.Settings().home


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_printed_settings_hide_credentials() -> None:
    shown = settings.read({"MANGAASSIST_REDIS_URL": "rediss://app:hunter2@cache:6379/0"}).redacted()
    assert shown["redis_url"] == "rediss://***@cache:6379/0"
    assert "hunter2" not in str(shown)


def test_printed_settings_hide_the_key_of_pseudonyms() -> None:
    shown = settings.read({"MANGAASSIST_PSEUDONYM_KEY": "hunter2"}).redacted()
    assert shown["pseudonym_key"] == "***"
    assert "hunter2" not in str(shown)
    assert settings.read({}).redacted()["pseudonym_key"] == ""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('storage = "Standard_V2"', 'storage = "Fast"', "Fast"),
        ('event_time = "event_time"', 'event_time = "user_id"', "both keys"),
        ('locale = "String"', 'event_time = "String"', "is a key"),
        ('locale = "String"', 'locale = "Text"', "Text"),
        ("[groups.user-profile]", '[groups."user profile"]', "matching regex"),
        ("ttl_days = 90", "ttl_days = 0", "ttl_days"),
        ("worker_share = 0.1", "worker_share = 0.7", "more than the quota"),
        ("features_jitter_seconds = 30", "features_jitter_seconds = 300", "below features_seconds"),
        ("run_seconds = 8", "run_second = 8", "run_second"),
    ],
)
def test_a_wrong_feature_table_is_refused_with_its_reason(
    edit: Edit, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=r"features\.toml") as refusal:
        features.load(edit("features", old, new))
    assert complaint in str(refusal.value)


def test_feature_groups_fit_into_one_request() -> None:
    assert len(features.declared().groups) <= features.MAX_GROUPS
    assert all(group.is_listed for group in features.declared().groups.values())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('provider = "bedrock"', 'provider = "basement"', "basement"),
        ("temperature = 0.2", "temperature = 2", "temperature"),
        ("context_tokens = 1500", "context_tokens = 9", "context_tokens"),
        ("prompt_version = 4", "prompt_version = 0", "prompt_version"),
        ('"top_genres_30d"]', '"top_genres_9d"]', "declares no 'top_genres_9d'"),
        ('"top_genres_30d"]', '"last_read_id"]', "'last_read_id' is an id"),
        ("dimensions = 256", "dimensions = 257", "257"),
        ("[models.large]", "[models.huge]", "huge"),
    ],
)
def test_a_wrong_model_is_refused_with_its_reason(
    edit: Edit, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=r"models\.toml") as refusal:
        models.load(edit("models", old, new))
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("limit = 5", "limit = 0", "limit"),
        ("min_similarity = 0.35", "min_similarity = 1.5", "min_similarity"),
        ("japanese = [", "french = [", "french"),
    ],
)
def test_a_wrong_search_table_is_refused_with_its_reason(
    edit: Edit, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=r"search\.toml") as refusal:
        search.load(edit("search", old, new))
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('kind = "gateway"', 'kind = "gate"', "gate"),
        ("max_dns_ms = 5", "max_dns_ms = 0", "max_dns_ms"),
        ("nat_baseline_ms = 45", "nat_baseline_ms = 9", "above nat_baseline_ms"),
        ("{region}.bedrock", "{place}.bedrock", "vpc_service"),
        ("timeout_seconds = 3", "timeout_seconds = 60", "timeout_seconds"),
    ],
)
def test_a_wrong_endpoint_is_refused_with_its_reason(
    edit: Edit, old: str, new: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=r"endpoints\.toml") as refusal:
        endpoints.load(edit("endpoints", old, new))
    assert complaint in str(refusal.value)
