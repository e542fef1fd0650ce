"""A serving process that begins without something says so, and is not ready before it has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from serving.models import Readiness
from tests.integration.serving.processes import (
    Serving,
    Valkey,
    start_serving,
    stop,
    token,
    wait_until,
    write_keys,
)


@contextmanager
def begun(valkey: Valkey, directory: Path, *, has_keys: bool = True) -> Iterator[Serving]:
    serving = start_serving(valkey, directory, has_keys=has_keys)
    try:
        wait_until(lambda: answers(serving), "the process answers")
        yield serving
    finally:
        stop(serving)


def answers(serving: Serving) -> bool:
    try:
        return serving.get("/healthz")[0] == 200
    except OSError:
        return False


def lacks(serving: Serving) -> set[str]:
    """Which of what every process needs it says is missing."""
    found = msgspec.json.decode(serving.get("/readyz")[2], type=Readiness).checks
    return {name for name in found.__struct_fields__ if name != "soft" and not getattr(found, name)}


def test_without_the_keys_of_tokens_no_traffic_comes_until_they_are_there(
    valkey: Valkey, tmp_path: Path
) -> None:
    with begun(valkey, tmp_path, has_keys=False) as serving:
        wait_until(lambda: lacks(serving) == {"keys", "answers", "warm"}, "the rest is there")
        assert serving.get("/readyz")[0] == 503
        customer = token("ann")
        status = serving.get("/v1/recommendations", customer)[0]
        assert status == 429, "upon a 401 a client would throw its token away"
        write_keys(tmp_path / "jwks.json")
        wait_until(serving.ready, "it is ready with its keys")
        assert lacks(serving) == set()
        assert serving.get("/v1/recommendations", customer)[0] == 200


def test_without_redis_no_traffic_comes_until_it_is_there(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path)
    with begun(valkey, tmp_path) as serving:
        wait_until(lambda: lacks(serving) == {"redis", "answers", "warm"}, "the rest is there")
        assert serving.get("/readyz")[0] == 503
        valkey.start()
        try:
            valkey.publish()
            wait_until(serving.ready, "it is ready with Redis")
        finally:
            valkey.kill()
        assert serving.ready(), "once ready it answers from what it has seen"
