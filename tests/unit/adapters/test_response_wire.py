"""Responses as bytes: they come back as they went, or not at all."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from adapters.response_wire import MAX_STORED_BYTES, ResponseWire
from domain.answers import Damage, Damaged, Header, StoredAnswer
from domain.response_cache import PUBLIC, Scope, StoredResponse
from tests.samples import asked, response

WIRE = ResponseWire("secret", compress_bytes=1024)
MADE = response()


def packed(text: str = "Try Food Wars!") -> bytes:
    stored = WIRE.pack(response(text))
    assert stored is not None
    return stored


@given(
    st.text(st.characters(codec="utf-8"), max_size=3000),
    st.lists(st.integers(1, 70_000), max_size=20),
    st.booleans(),
)
def test_a_response_comes_back_as_it_went(text: str, chunks: list[int], is_negative: bool) -> None:
    made = response(text, chunks=chunks, is_negative=is_negative)
    stored = WIRE.pack(made)
    assert stored is not None
    found = WIRE.unpack(stored, made.key, PUBLIC.owner)
    assert found.body == made.body
    assert found.text() == text
    assert (found.version, found.soft_expires_at) == (made.version, made.soft_expires_at)
    assert found.is_negative is is_negative
    kept = chunks if max(chunks, default=0) <= 0xFFFF else []
    assert list(found.chunks) == kept


def test_large_bodies_are_compressed_and_small_ones_are_not() -> None:
    small, large = packed("ab"), packed("おすすめの漫画です。" * 400)
    assert Header.unpack(small).flags != Header.unpack(large).flags
    assert len(large) < len(response("おすすめの漫画です。" * 400).body) / 4


def test_what_does_not_fit_is_not_kept() -> None:
    letters = Random(1)
    noise = "".join(chr(letters.randint(0x4E00, 0x9FFF)) for _ in range(40_000))
    assert WIRE.pack(response(noise)) is None
    assert len(packed("x" * 900_000)) < MAX_STORED_BYTES


def test_threads_may_share_a_wire() -> None:
    made = [response(f"{n} " * 2000, of=asked(f"question {n}")) for n in range(40)]

    def there_and_back(one: StoredResponse) -> bool:
        stored = WIRE.pack(one)
        return stored is not None and WIRE.unpack(stored, one.key).body == one.body

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, made * 5))


def test_every_damaged_byte_is_noticed() -> None:
    for stored in (packed(), packed("long " * 400)):
        for at in range(len(stored)):
            damaged = bytearray(stored)
            damaged[at] ^= 0x20
            with pytest.raises(Damaged):
                WIRE.unpack(bytes(damaged), MADE.key)
        for length in range(len(stored)):
            with pytest.raises(Damaged):
                WIRE.unpack(stored[:length], MADE.key)


def test_one_users_response_is_refused_under_every_other_key() -> None:
    users = [Scope(f"user-{n}") for n in range(20)]
    for mine, other in itertools.permutations(users, 2):
        question = asked(scope=mine)
        stored = WIRE.pack(response(of=question))
        assert stored is not None
        with pytest.raises(Damaged):
            WIRE.unpack(stored, asked(scope=other).key, other.owner)
        with pytest.raises(Damaged) as caught:
            WIRE.unpack(stored, question.key, other.owner)
        assert caught.value.damage is Damage.FOREIGN_OWNER


def test_nobody_without_the_secret_can_forge_a_response() -> None:
    """Whoever may write to Redis knows the format, and can make every checksum right."""
    forged = ResponseWire("other", compress_bytes=1024).pack(MADE)
    assert forged is not None
    with pytest.raises(Damaged) as caught:
        WIRE.unpack(forged, MADE.key, PUBLIC.owner)
    assert caught.value.damage is Damage.SEAL


def test_without_a_secret_nothing_is_kept_and_nothing_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keyless = ResponseWire("", compress_bytes=1024)
    assert keyless.pack(MADE) is None
    forger = ResponseWire("any", compress_bytes=1024)
    monkeypatch.setattr(forger, "_seal", keyless._seal)
    forged = forger.pack(MADE)
    assert forged is not None
    for wire in (keyless, WIRE):
        with pytest.raises(Damaged) as caught:
            wire.unpack(forged, MADE.key, PUBLIC.owner)
        assert caught.value.damage is Damage.SEAL


def test_a_response_is_no_precomputed_answer_and_the_other_way_round() -> None:
    with pytest.raises(Damaged) as caught:
        StoredAnswer.unpack(packed(), MADE.key)
    assert caught.value.damage is Damage.FORMAT
    plain = StoredAnswer(0, 1, 0.0, 1.0, 2.0, "preview", b'{"answer":{}').pack()
    with pytest.raises(Damaged):
        WIRE.unpack(plain, MADE.key)


class Bomb(ResponseWire):
    """Knows the secret, and folds a small body around a large one."""

    says_size = True

    def _folded(self, body: bytes) -> bytes:
        compressor = zstandard.ZstdCompressor(write_content_size=self.says_size)
        return compressor.compress(bytes(50_000_000))


@pytest.mark.parametrize("says_size", [True, False])
def test_a_response_that_would_unfold_without_end_is_refused(says_size: bool) -> None:
    hostile = Bomb("secret", compress_bytes=1)
    hostile.says_size = says_size
    stored = hostile.pack(MADE)
    assert stored is not None
    with pytest.raises(Damaged) as caught:
        WIRE.unpack(stored, MADE.key, PUBLIC.owner)
    assert caught.value.damage is Damage.FORMAT


def test_those_who_read_only_headers_read_a_response_as_an_answer() -> None:
    stored = packed()
    header = Header.unpack(stored)
    assert header.version == MADE.version
    assert header.preview(stored) == "Try Food Wars!"
