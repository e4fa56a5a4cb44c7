"""What venues count of our requests, from the headers of their answers to the order budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from hftmm.config import Config, MarketsConfig, PracticeConfig
from hftmm.execution.throttle import Throttle, Traffic
from hftmm.venues.account_sink import Balances
from hftmm.venues.private import SignedRequest
from hftmm.venues.usage import Usage
from tests.engines import PERP, SPOT
from tests.orders import PERPETUAL
from tests.virtual_account import CODECS, START, Desk
from tests.wired import wired

NOW_MS = 1_780_315_207_500
"""7.5 s after a whole minute."""


def query(route: str, method: str = "GET", path: str = "/") -> SignedRequest:
    return SignedRequest(route, method, path, b"", {}, "answer", "")


@pytest.mark.parametrize(
    ("market", "headers", "told"),
    [
        (
            "spot",
            {
                "x-mbx-used-weight": "46",
                "x-mbx-used-weight-1m": "46",
                "x-mbx-order-count-10s": "3",
                "x-mbx-order-count-1d": "900",
            },
            [
                Usage("spot weight a minute", 46, 6_000, 52_500),
                Usage("spot orders in 10 s", 3, 100, 2_500),
                Usage("spot orders a day", 900, 200_000, 86_400_000 - NOW_MS % 86_400_000),
            ],
        ),
        (
            "linear",
            {"x-mbx-order-count-10s": "5", "x-mbx-order-count-1m": "17"},
            [
                Usage("linear orders in 10 s", 5, 300, 2_500),
                Usage("linear orders a minute", 17, 1_200, 52_500),
            ],
        ),
        ("linear", {"x-mbx-used-weight-1m": "-1"}, []),
        ("spot", {}, []),
    ],
)
def test_binance_tells_weight_and_orders_of_windows_that_follow_the_clock(
    market: str, headers: dict[str, str], told: list[Usage]
) -> None:
    assert CODECS["binance"]().decode_usage(query(f"{market}.rest"), headers, NOW_MS) == told


def limits(left: str, resets_ms: int) -> dict[str, str]:
    return {
        "x-bapi-limit": "10",
        "x-bapi-limit-status": left,
        "x-bapi-limit-reset-timestamp": str(resets_ms),
    }


def test_bybit_tells_what_is_left_of_the_budget_of_an_order_request() -> None:
    codec = CODECS["bybit"]()
    order = query("rest", "POST", "/v5/order/create")
    told = codec.decode_usage(order, limits("2", NOW_MS + 300), NOW_MS)
    assert told == [Usage("create requests a second", 8, 10, 300)]
    # While something is left the moment is that of the answer.
    (told_now,) = codec.decode_usage(order, limits("9", NOW_MS - 4), NOW_MS)
    assert told_now.left_ms == 0
    positions = query("rest", "GET", "/v5/position/list?category=linear")
    assert codec.decode_usage(positions, limits("0", NOW_MS + 300), NOW_MS) == []
    assert codec.decode_usage(order, {}, NOW_MS) == []


def test_okx_tells_nothing() -> None:
    order = query("rest", "POST", "/api/v5/trade/order")
    assert list(CODECS["okx"]().decode_usage(order, limits("1", NOW_MS), NOW_MS)) == []


def test_a_session_passes_on_what_the_headers_of_an_answer_tell() -> None:
    desk = Desk("binance")
    headers = {"x-mbx-used-weight-1m": "46"}
    desk.session.responded(query("spot.rest"), 200, b"{}", START, headers=headers)
    (told,) = desk.told.usages
    assert (told.name, told.used, told.limit) == ("spot weight a minute", 46, 6_000)
    desk.session.responded(query("spot.rest"), 200, b"{}", START)
    assert desk.told.usages == [told]


def test_orders_wait_while_a_budget_is_nearly_used_up_and_cancels_do_not() -> None:
    throttle = Throttle("binance", CODECS["binance"]().rules)
    throttle.told_weight("spot weight a minute", 4_500, 6_000, START + 5, START)
    denial = throttle.admit(PERPETUAL, Traffic.ORDER, START)
    assert denial is not None
    assert denial.reason.startswith("spot weight a minute 4500 of 6000")
    assert throttle.admit(PERPETUAL, Traffic.CANCEL, START) is None
    assert throttle.admit(PERPETUAL, Traffic.ORDER, START + 5) is None


async def test_what_the_served_venue_counts_arrives_at_the_order_budget(tmp_path: Path) -> None:
    lags = tuple((venue, 0) for venue in CODECS)
    config = Config(
        markets=MarketsConfig(symbols=(PERP, SPOT)), practice=PracticeConfig(lag_ms=lags)
    )
    async with wired(config, tmp_path / "journal.sqlite") as engine:
        await engine.armed()
        weights = engine.trading.throttles["binance"]._weights
        engine.trading.accounts["binance"].session.ask(Balances(), engine.driver.clock())
        await engine.until(
            lambda: {"spot weight a minute", "linear weight a minute"} <= set(weights)
        )
        used, limit, ends_ns = weights["spot weight a minute"]
        assert 0 < used < limit == 6_000
        assert ends_ns > engine.driver.clock() - 60_000_000_000
