"""What may be spent comes back with time, and one user spends nothing of another's."""

from config.models import Rate, Spending
from serving.spending import MAX_USERS, Allowances
from tests.fakes import FakeClock

TABLE = Spending(
    user=Rate(per_minute=6, burst=2), anonymous=Rate(per_minute=60, burst=1), max_flights=3
)


def test_a_bucket_fills_again_and_never_beyond_its_burst() -> None:
    clock = FakeClock()
    allowances = Allowances(TABLE, clock)
    assert [allowances.refusal("a", 0) for _ in range(3)] == [None, None, "throttled"]
    assert allowances.refusal("b", 0) is None
    clock.now += 10
    assert [allowances.refusal("a", 0) for _ in range(2)] == [None, "throttled"]
    clock.now += 3600
    assert [allowances.refusal("a", 0) for _ in range(3)] == [None, None, "throttled"]


def test_all_strangers_spend_from_one_bucket() -> None:
    allowances = Allowances(TABLE, FakeClock())
    assert [allowances.refusal("", 0) for _ in range(2)] == [None, "throttled"]


def test_where_too_much_is_under_way_nothing_is_spent() -> None:
    allowances = Allowances(TABLE, FakeClock())
    assert [allowances.refusal("", 3), allowances.refusal("", 2)] == ["crowded", None]


def test_the_user_who_has_not_asked_for_longest_is_forgotten_first() -> None:
    allowances = Allowances(TABLE, FakeClock())
    for user in ("a", "b", "a", "b"):
        allowances.refusal(user, 0)
    for number in range(MAX_USERS - 1):
        allowances.refusal(f"u{number}", 0)
        allowances.refusal("a", 0)
    assert allowances.refusal("a", 0) == "throttled"
    assert allowances.refusal("b", 0) is None


def test_to_look_whether_there_is_something_left_spends_nothing() -> None:
    allowances = Allowances(TABLE, FakeClock())
    assert [allowances.affords("a", 0) for _ in range(3)] == [True] * 3
    assert [allowances.refusal("a", 0) for _ in range(3)] == [None, None, "throttled"]
    assert not allowances.affords("a", 0)
    assert not allowances.affords("b", 3)
