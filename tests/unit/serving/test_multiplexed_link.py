"""The shared Redis connection with a transport that only remembers what was written."""

import asyncio

import pytest

from adapters import redis_multiplexed
from adapters.redis_multiplexed import (
    Late,
    Link,
    NotDone,
    Reply,
    Slot,
    Unknown,
    WritesRefused,
    pack,
)
from tests.unit.serving.jumping import now, pause, run


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.fails = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.fails:
            raise RuntimeError("unable to perform operation; the handler is closed")
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Wire:
    """A link, its transport and the replies that its callers got, by name."""

    def __init__(self) -> None:
        self.link = Link()
        self.transport = FakeTransport()
        self.link.connection_made(self.transport)
        self.got: dict[str, Reply] = {}

    def call(self, name: str, seconds: float = 10.0) -> None:
        deadline = asyncio.get_running_loop().time() + seconds

        def answer(reply: Reply) -> None:
            assert name not in self.got, "a caller is answered once"
            self.got[name] = reply

        self.link.send(Slot(pack("GET", name), answer, deadline))


@pytest.fixture
async def wire() -> Wire:
    return Wire()


async def test_the_commands_of_one_turn_leave_in_one_write_and_replies_keep_their_order(
    wire: Wire,
) -> None:
    for name in ("a", "b", "c"):
        wire.call(name)
    await asyncio.sleep(0)
    assert wire.transport.written == [pack("GET", "a") + pack("GET", "b") + pack("GET", "c")]
    wire.link.data_received(b"$1\r\n1\r\n:2\r")
    wire.link.data_received(b"\n*2\r\n:1\r\n$-1\r\n")
    assert wire.got == {"a": b"1", "b": 2, "c": [1, None]}


async def test_an_error_reply_is_the_callers_alone(wire: Wire) -> None:
    wire.call("a")
    wire.call("b")
    await asyncio.sleep(0)
    wire.link.data_received(b"-OOM command not allowed\r\n$1\r\n2\r\n")
    assert isinstance(wire.got["a"], NotDone)
    assert wire.got["b"] == b"2"
    assert not wire.transport.closed


def test_a_late_caller_is_released_and_its_reply_reaches_nobody() -> None:
    async def steps() -> None:
        wire = Wire()
        wire.call("slow", seconds=0.01)
        released = asyncio.Event()
        wire.link.send(Slot(pack("GET", "x"), lambda _reply: released.set(), 0.0))
        await released.wait()
        await asyncio.sleep(0.02)
        assert isinstance(wire.got["slow"], Late)
        wire.call("next")
        await asyncio.sleep(0)
        wire.link.data_received(b"$4\r\nslow\r\n$1\r\nx\r\n")
        assert "next" not in wire.got
        wire.link.data_received(b"$4\r\nnext\r\n")
        assert wire.got["next"] == b"next"

    run(steps())


def test_a_connection_that_stops_answering_is_dropped() -> None:
    async def steps() -> None:
        wire = Wire()
        wire.call("a", seconds=0.01)
        await wire.link.lost
        assert now() == pytest.approx(0.01 + redis_multiplexed.STALL_SECONDS)
        assert wire.transport.closed
        assert isinstance(wire.got["a"], Late)

    run(steps())


def test_a_process_that_was_late_itself_reads_first_what_has_come_meanwhile() -> None:
    async def steps() -> None:
        wire = Wire()
        wire.call("a", seconds=0.01)
        wire.call("b", seconds=0.01)
        pause(5 * redis_multiplexed.LAG_SECONDS)
        await asyncio.sleep(0)
        wire.link.data_received(b"$1\r\na\r\n")
        assert wire.got == {"a": b"a"}
        await asyncio.sleep(redis_multiplexed.LAG_SECONDS)
        assert isinstance(wire.got["b"], Late), "what has not come is late"

    run(steps())


@pytest.mark.parametrize("damage", [b"?what\r\n", b"$1\r\n1\r\n$1\r\n2\r\n", b"$-5x\r\n"])
async def test_anything_unexpected_drops_the_connection(wire: Wire, damage: bytes) -> None:
    wire.call("a")
    await asyncio.sleep(0)
    wire.link.data_received(damage)
    assert wire.transport.closed
    wire.link.data_received(b"$1\r\n9\r\n")
    assert wire.got["a"] != b"9"
    wire.call("b")
    assert isinstance(wire.got["b"], NotDone)


async def test_a_lost_connection_tells_what_was_sent_from_what_was_not(wire: Wire) -> None:
    wire.call("sent")
    await asyncio.sleep(0)
    wire.call("unsent")
    wire.link.connection_lost(None)
    assert isinstance(wire.got["sent"], Unknown)
    assert isinstance(wire.got["unsent"], NotDone)
    assert wire.link.lost.done()


async def test_a_write_that_raises_drops_the_connection(wire: Wire) -> None:
    wire.transport.fails = True
    wire.call("a")
    await asyncio.sleep(0)
    assert isinstance(wire.got["a"], Unknown)
    assert wire.link.lost.done()


async def test_a_caller_that_fails_costs_no_other_its_reply(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_reply: Reply) -> None:
        raise RuntimeError("handler is closed")

    wire.link.send(Slot(pack("GET", "x"), fail, asyncio.get_running_loop().time() + 10))
    wire.call("a")
    await asyncio.sleep(0)
    wire.link.data_received(b"$1\r\nx\r\n$1\r\na\r\n")
    assert wire.got == {"a": b"a"}
    assert "a caller failed" in caplog.text


async def test_beyond_the_limits_a_call_is_refused_at_once(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_multiplexed, "MAX_PENDING", 1)
    wire.call("a")
    wire.call("b")
    assert isinstance(wire.got["b"], NotDone)
    monkeypatch.setattr(redis_multiplexed, "MAX_PENDING", 100)
    wire.link.pause_writing()
    wire.call("c")
    assert isinstance(wire.got["c"], NotDone)
    wire.link.resume_writing()
    wire.call("d")
    assert "d" not in wire.got


async def test_a_missing_function_is_loaded_and_called_once_more(wire: Wire) -> None:
    wire.call("a")
    await asyncio.sleep(0)
    wire.link.data_received(b"-ERR Function not found\r\n")
    await asyncio.sleep(0)
    assert wire.transport.written[1] == redis_multiplexed.LOAD_FUNCTIONS + pack("GET", "a")
    wire.link.data_received(b"$11\r\nmangaassist\r\n-ERR Function not found\r\n")
    await asyncio.sleep(0)
    assert len(wire.transport.written) == 2
    assert isinstance(wire.got["a"], NotDone)


@pytest.mark.parametrize("word", ["OOM", "MISCONF", "NOREPLICAS"])
async def test_a_server_that_only_takes_no_writes_is_told_apart_and_kept(
    wire: Wire, word: str
) -> None:
    wire.call("a")
    await asyncio.sleep(0)
    wire.link.data_received(f"-{word} not now\r\n".encode())
    assert isinstance(wire.got["a"], WritesRefused)
    assert not wire.transport.closed


@pytest.mark.parametrize("word", ["LOADING", "MASTERDOWN", "NOAUTH", "CLUSTERDOWN"])
async def test_a_server_that_is_not_the_one_to_talk_to_is_left(wire: Wire, word: str) -> None:
    wire.call("a")
    await asyncio.sleep(0)
    wire.link.data_received(f"-{word} somewhere else\r\n".encode())
    assert isinstance(wire.got["a"], NotDone)
    assert wire.link.lost.done()


def test_deadlines_that_pass_in_a_row_make_it_slow_until_a_reply_is_in_time() -> None:
    async def steps() -> None:
        wire = Wire()
        released = asyncio.Event()
        for number in range(redis_multiplexed.SLOW_AFTER):
            assert not wire.link.is_slow
            wire.link.send(Slot(pack("GET", number), lambda _reply: released.set(), now()))
            await released.wait()
            released.clear()
        assert wire.link.is_slow
        wire.link.data_received(b"$1\r\nx\r\n" * redis_multiplexed.SLOW_AFTER)
        assert wire.link.is_slow, "replies that came too late prove nothing"
        wire.call("probe")
        await asyncio.sleep(0)
        wire.link.data_received(b"$1\r\n1\r\n")
        assert not wire.link.is_slow

    run(steps())


async def test_a_primary_that_became_a_replica_is_left(wire: Wire) -> None:
    wire.call("a")
    wire.call("b")
    await asyncio.sleep(0)
    wire.link.data_received(b"-READONLY You can't write against a read only replica.\r\n")
    assert isinstance(wire.got["a"], NotDone)
    assert isinstance(wire.got["b"], Unknown)
    assert wire.transport.closed
