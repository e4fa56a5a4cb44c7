"""Each rule is held by a test that fails without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random

import pytest

from hftmm.core.instrument import Side
from hftmm.risk.losses import LOSSES
from hftmm.risk.rules import RULES
from tests import test_risk_manager as guards
from tests import test_risk_worst_case as worst_case
from tests.risk_desk import VENUES, disable

GUARDS: dict[str, Callable[[], None]] = {
    "grid": guards.test_an_order_off_the_venues_grid_is_refused,
    "amendable": guards.test_only_an_own_order_is_changed_and_only_as_what_it_is,
    "killed": guards.test_nothing_passes_the_kill_latch,
    "halted": guards.test_a_halted_venue_takes_reducing_orders_only,
    "repeats": guards.test_a_strategy_that_trades_too_often_is_off_until_a_person_enables_it,
    "trading": guards.test_a_listing_that_does_not_trade_is_refused,
    "min_size": guards.test_an_order_below_the_venues_smallest_is_refused,
    "min_notional": guards.test_an_order_worth_less_than_the_venues_smallest_is_refused,
    "order_size": guards.test_a_larger_order_than_allowed_is_refused,
    "order_notional": guards.test_an_order_worth_more_than_allowed_is_refused,
    "stale_book": guards.test_nobody_trades_where_the_book_cannot_be_believed,
    "collar": guards.test_an_order_priced_too_far_through_the_best_price_is_refused,
    "venue_position": guards.test_a_position_counts_every_open_and_unknown_order_of_its_side,
    "total_position": guards.test_the_net_position_of_all_venues_counts_their_open_orders,
    "worst_case": guards.test_longs_and_shorts_of_all_venues_add_up_in_the_worst_case,
    "venue_orders": guards.test_open_orders_of_a_venue_are_counted,
    "total_orders": guards.test_open_orders_of_all_venues_are_counted,
    "order_rate": guards.test_orders_of_a_second_are_counted_and_urgent_ones_are_not_held,
    "duplicate": guards.test_the_same_order_again_too_soon_is_a_mistake,
    "self_cross": guards.test_an_order_that_would_meet_one_of_our_own_is_refused_with_its_id,
    "balance": guards.test_what_pays_for_an_order_must_be_free,
    "venue_loss": guards.test_a_venue_that_loses_too_much_in_a_day_is_halted,
    "total_loss": guards.test_a_desk_that_loses_too_much_in_a_day_is_halted_everywhere,
    "drawdown": guards.test_a_desk_that_falls_too_far_from_its_peak_is_halted_everywhere,
}


def test_every_rule_has_a_test_that_holds_it() -> None:
    assert GUARDS.keys() == RULES.keys() | LOSSES.keys()
    assert len(set(GUARDS.values())) == len(GUARDS)


@pytest.mark.parametrize("name", GUARDS)
def test_without_a_rule_its_test_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = GUARDS[name]
    guard()
    disable(name, monkeypatch)
    with pytest.raises(AssertionError):
        guard()


@pytest.mark.parametrize(
    "name",
    ["venue_position", "total_position", "worst_case", "venue_orders", "total_orders", "balance"],
)
def test_without_a_limit_chance_finds_a_way_beyond_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def live() -> None:
        for seed in range(40):
            worst_case.live_through(story(Random(seed)))

    live()
    disable(name, monkeypatch)
    with pytest.raises(AssertionError):
        live()


def story(chance: Random, events: int = 60) -> Iterator[worst_case.Offer | worst_case.Happening]:
    """What may happen, two orders to one of everything else."""
    whats = ("fill", "fill quietly", "tell", "cancel", "lose", "amend", "amend quietly")
    for _ in range(events):
        size = Decimal(chance.randint(1, chance.choice((40, 400)))) / 1000
        if chance.random() < 2 / 3:
            side: Side = "buy" if chance.random() < 0.5 else "sell"
            yield chance.choice(VENUES), chance.random() < 0.5, side, size
        else:
            yield chance.choice(whats), chance.randint(0, 30), size
