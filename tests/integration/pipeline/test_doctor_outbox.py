"""What `mangaassist doctor` says of the outbox, on a real server."""

from typing import TYPE_CHECKING

from adapters.redis_outbox import malformed_key
from cli.doctor_redis import outbox
from cli.findings import State
from config.settings import Settings

if TYPE_CHECKING:
    import redis


def test_entries_set_aside_are_a_warning(valkey: "redis.Redis", valkey_url: str) -> None:
    settings = Settings(redis_url=valkey_url)
    assert [(row.what, row.state) for row in outbox(settings)] == [("outbox", State.OK)]
    valkey.xadd(malformed_key(0), {"reason": "not msgpack"})
    *_, row = outbox(settings)
    assert (row.what, row.state) == ("outbox malformed", State.WARN)
    assert row.detail.startswith("1 ")
