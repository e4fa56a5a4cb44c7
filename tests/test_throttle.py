"""Budgets, what headers say of them, and bans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.instrument import Kind
from hftmm.execution.throttle import PAUSE_NS, Throttle, Traffic, Window
from hftmm.venues.private import PrivateRules
from tests.books import MS, SECOND, listing

LINEAR = listing("okx", kind=Kind.LINEAR)
SPOT = listing("okx")
NOW = 1_750_000_000 * SECOND


def throttle(
    orders: tuple[int, int] = (8, SECOND),
    cancels: tuple[int, int] | None = None,
    *,
    per_listing: bool = True,
) -> Throttle:
    rules = PrivateRules(orders, cancels, per_listing=per_listing)
    return Throttle("okx", {Kind.LINEAR: rules, Kind.SPOT: rules})


def admitted(budget: Throttle, traffic: Traffic, now_ns: int = NOW, times: int = 100) -> int:
    """How many of so many requests at once get through."""
    return sum(budget.admit(LINEAR, traffic, now_ns) is None for _ in range(times))


def test_orders_leave_a_quarter_of_the_budget_to_hedges_and_cancels() -> None:
    budget = throttle()
    assert admitted(budget, Traffic.ORDER) == 6
    assert admitted(budget, Traffic.URGENT, times=1) == 1
    assert admitted(budget, Traffic.CANCEL) == 1
    assert admitted(budget, Traffic.URGENT) == 0


def test_cancels_that_count_apart_have_a_budget_of_their_own() -> None:
    budget = throttle(cancels=(5, SECOND))
    assert admitted(budget, Traffic.URGENT) == 8
    assert admitted(budget, Traffic.CANCEL) == 5
    budget.told_orders(LINEAR, 8, 0, NOW)
    assert admitted(budget, Traffic.CANCEL, NOW + SECOND) == 5


def test_a_denial_says_why_and_until_when() -> None:
    budget = throttle()
    for step in range(6):
        assert budget.admit(LINEAR, Traffic.ORDER, NOW + step * 100 * MS) is None
    denial = budget.admit(LINEAR, Traffic.ORDER, NOW + 600 * MS)
    assert denial is not None
    assert str(denial) == ("okx: 6 of 8 orders in 1 s, rest for hedges; next in 400 ms")
    assert budget.admit(LINEAR, Traffic.ORDER, denial.until_ns - 1) is not None
    assert budget.admit(LINEAR, Traffic.ORDER, denial.until_ns) is None


@given(
    gaps=st.lists(st.integers(0, 400), min_size=1, max_size=80),
    limit=st.integers(1, 10),
    urgent=st.booleans(),
)
def test_no_window_ever_holds_more_than_the_limit_and_waiting_is_always_enough(
    gaps: list[int], limit: int, urgent: bool
) -> None:
    budget = throttle((limit, SECOND))
    traffic = Traffic.URGENT if urgent else Traffic.ORDER
    now_ns, sent = NOW, []
    for gap in gaps:
        now_ns += gap * MS
        denial = budget.admit(LINEAR, traffic, now_ns)
        if denial is None:
            sent.append(now_ns)
        else:
            assert now_ns < denial.until_ns <= now_ns + SECOND
    for last in sent:
        assert sum(last - SECOND < moment <= last for moment in sent) <= limit


def test_budgets_hold_for_each_listing_or_for_all_as_the_venue_counts() -> None:
    apart, together = throttle(), throttle(per_listing=False)
    other = listing("okx", kind=Kind.LINEAR)
    object.__setattr__(other, "symbol", "ETH/USDT:USDT")
    for budget in (apart, together):
        assert admitted(budget, Traffic.ORDER) == 6
    assert apart.admit(other, Traffic.ORDER, NOW) is None
    assert together.admit(other, Traffic.ORDER, NOW) is not None
    assert together.admit(SPOT, Traffic.ORDER, NOW) is None


def test_a_header_that_counts_more_than_we_sent_is_believed() -> None:
    budget = throttle()
    budget.told_orders(LINEAR, 5, 0, NOW)
    assert admitted(budget, Traffic.ORDER) == 1
    assert admitted(budget, Traffic.ORDER, NOW + SECOND) == 6


def test_a_header_that_counts_less_does_not_free_what_is_under_way() -> None:
    budget = throttle()
    assert admitted(budget, Traffic.ORDER) == 6
    budget.told_orders(LINEAR, 2, 0, NOW)
    assert admitted(budget, Traffic.ORDER) == 0


def test_a_header_that_states_another_limit_replaces_ours() -> None:
    budget = throttle()
    budget.told_orders(LINEAR, 0, 40, NOW)
    assert admitted(budget, Traffic.ORDER) == 30


def test_orders_wait_when_the_weight_of_all_requests_runs_out_and_cancels_do_not() -> None:
    budget = throttle()
    budget.told_weight("weight", 4_500, 6_000, NOW + 7 * SECOND, NOW)
    denial = budget.admit(LINEAR, Traffic.ORDER, NOW)
    assert denial is not None
    assert str(denial) == "okx: weight 4500 of 6000; next in 7 s"
    assert budget.admit(LINEAR, Traffic.URGENT, NOW) is None
    assert budget.admit(LINEAR, Traffic.CANCEL, NOW) is None
    assert budget.admit(LINEAR, Traffic.ORDER, NOW + 7 * SECOND) is None


def test_after_a_ban_nothing_new_leaves_until_the_stated_time_and_cancels_do() -> None:
    budget = throttle()
    until_ns = budget.turned_away("418: banned", 120_000, NOW)
    assert until_ns == NOW + 120 * SECOND
    for traffic in (Traffic.ORDER, Traffic.URGENT):
        denial = budget.admit(LINEAR, traffic, until_ns - 1)
        assert denial is not None
        assert denial.until_ns == until_ns
    assert budget.admit(LINEAR, Traffic.CANCEL, NOW) is None
    assert str(budget.halted(NOW)) == "okx: 418: banned; next in 120 s"
    assert budget.admit(LINEAR, Traffic.ORDER, until_ns) is None
    assert budget.halted(until_ns) is None


def test_a_refusal_without_a_time_pauses_and_a_shorter_one_does_not_end_a_longer() -> None:
    budget = throttle()
    assert budget.turned_away("429", 0, NOW) == NOW + PAUSE_NS
    assert budget.turned_away("429", 10_000, NOW) == NOW + 10 * SECOND
    assert budget.turned_away("50011", 0, NOW) == NOW + 10 * SECOND


def test_the_fullest_budget_is_what_the_screen_shows() -> None:
    budget = throttle((8, SECOND), (16, SECOND))
    assert budget.used(NOW) == 0
    admitted(budget, Traffic.CANCEL, times=4)
    assert budget.used(NOW) == 0.25
    admitted(budget, Traffic.ORDER, times=4)
    assert budget.used(NOW) == 0.5
    budget.told_weight("weight", 6, 10, NOW + SECOND, NOW)
    assert budget.used(NOW) == 0.6
    assert budget.used(NOW + SECOND) == 0
    budget.turned_away("429", 0, NOW)
    assert budget.used(NOW) == 1


def test_a_budget_of_one_still_lets_one_through() -> None:
    window = Window(1, SECOND)
    assert window.wait_ns(0.75, NOW) == NOW
    window.take(NOW)
    assert window.wait_ns(0.75, NOW) == NOW + SECOND
