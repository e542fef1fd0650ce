"""Which turns were given unchecked answers of the model, and what the checks found, in Redis.

Keys: `answer_given:<id>`, the set of the turns, and `answer_verdict:<id>`; both expire. Noting
looks for the verdict and settling for the turns in one step each, so that neither misses the other.
"""

from collections.abc import Mapping, Sequence

import msgspec

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from domain.ports import Given, Verdict

PASSED_SECONDS = 86_400
"""Longer than a response is given. A turn that comes later is noted for nothing."""

_NOTE = """
local verdict = redis.pcall('GET', KEYS[2])
if type(verdict) == 'string' then return verdict end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'set' then redis.call('DEL', KEYS[1]) end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return false
"""

# What was taken back stays so, though the same answer should pass another time.
_SETTLE = """
local known = redis.pcall('GET', KEYS[2])
local is_retracted = type(known) == 'string' and string.sub(known, 1, 1) == '1'
if not is_retracted then redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2]) end
if string.sub(ARGV[1], 1, 1) == '0' then
  if not is_retracted then redis.call('DEL', KEYS[1]) end
  return {}
end
local given = redis.pcall('SMEMBERS', KEYS[1])
return given.err and {} or given
"""

_encode = msgspec.json.Encoder().encode
_decode_turn = msgspec.json.Decoder(tuple[str, str]).decode


class RedisAnswerChecks:
    """Implements `domain.ports.AnswerChecks`."""

    def __init__(self, connection: RedisConnection, *, retracted_seconds: int) -> None:
        self._redis = connection.client
        self._retracted_seconds = retracted_seconds

    def note(self, given: Sequence[Given]) -> Mapping[str, Verdict]:
        """Remember these, but for those whose answers are checked: their verdicts by answer id."""
        pipeline = self._redis.pipeline(transaction=False)
        for one in given:
            turn = _encode((one.session_id, one.event_id))
            pipeline.eval(_NOTE, 2, *_keys(one.answer_id), turn, self._retracted_seconds)
        with translated():
            verdicts = pipeline.execute()
        return {
            one.answer_id: _verdict(verdict)
            for one, verdict in zip(given, verdicts, strict=True)
            if isinstance(verdict, bytes)
        }

    def settle(self, answer_id: str, verdict: Verdict) -> Sequence[Given]:
        """Keep a verdict; who was given the answer, where it was taken back."""
        told = f"{int(verdict.is_retracted)}{verdict.locale}"
        seconds = self._retracted_seconds if verdict.is_retracted else PASSED_SECONDS
        with translated():
            turns = self._redis.eval(_SETTLE, 2, *_keys(answer_id), told, seconds)
        return [Given(answer_id, *_decode_turn(turn)) for turn in turns]


def _keys(answer_id: str) -> tuple[str, str]:
    return f"answer_given:{answer_id}", f"answer_verdict:{answer_id}"


def _verdict(stored: bytes) -> Verdict:
    return Verdict(stored[:1] == b"1", "en" if stored[1:] == b"en" else "ja")
