"""Parameters that change while running: what is listed, and what is taken."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.config import Config
from hftmm.core.errors import ConfigError
from hftmm.engine.parameters import FIXED, changed, parameters

KEYS = [each.key for each in parameters(Config())]
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False) | st.floats(
    allow_nan=False, allow_infinity=False
)


def shown(config: Config, key: str) -> str:
    return next(each.value for each in parameters(config) if each.key == key)


def test_every_key_of_what_trades_is_listed_with_what_is_allowed() -> None:
    listed = list(parameters(Config()))
    sections = {each.key.partition(".")[0] for each in listed}
    assert sections == {"market_making", "hedging", "arbitrage", "limits", "venues"}
    assert {"limits.max_repeats", "venues.okx.max_daily_loss", "hedging.step_ms"} < set(KEYS)
    assert not any(key.rpartition(".")[2] in FIXED for key in KEYS)
    assert all(each.allowed and each.words for each in listed)


def test_a_venue_that_is_not_enabled_has_no_parameters() -> None:
    config = Config()
    off = replace(config.venues["okx"], enabled=False)
    config = replace(config, venues={**config.venues, "okx": off})
    assert not any(each.key.startswith("venues.okx") for each in parameters(config))
    with pytest.raises(ConfigError, match=r"venues\.okx\.max_position cannot be changed"):
        changed(config, "venues.okx.max_position", "1")


@pytest.mark.parametrize("key", KEYS)
def test_what_is_shown_is_taken_back_unchanged(key: str) -> None:
    config = Config()
    assert changed(config, key, shown(config, key)) == config


@given(st.sampled_from(KEYS), NUMBERS | st.booleans() | st.integers() | st.text())
def test_whatever_is_given_is_refused_in_one_line_or_shown_as_it_is_taken(
    key: str, value: object
) -> None:
    config, refusal = Config(), ""
    try:
        config = changed(config, key, str(value))
    except ConfigError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert not refusal or refusal.partition(": ")[0] in KEYS
    again = changed(config, key, shown(config, key))
    assert again == config
    assert len(shown(config, key)) < 400
    if isinstance(value, float) and not refusal:
        assert float(shown(config, key)) == value


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (
            "hedging.step_ms",
            "1.5",
            "hedging.step_ms: is 1.5, allowed: a whole number from 10 to 60_000",
        ),
        (
            "hedging.hedge_immediately",
            "1",
            "hedging.hedge_immediately: is 1, allowed: true or false",
        ),
        (
            "limits.max_order_size",
            "nan",
            "limits.max_order_size: is NaN, allowed: a number from 0 to 1_000_000_000",
        ),
        (
            "arbitrage.leg_deadline_ms",
            "49",
            "arbitrage.leg_deadline_ms: is 49, allowed: a whole number from 50 to 60_000",
        ),
        (
            "market_making.quote_exchanges",
            '["kraken"]',
            'market_making.quote_exchanges: "kraken" is not among the configured ones, allowed:'
            " binance, bybit, okx",
        ),
        (
            "market_making.cancel_edge_bps",
            "9",
            "market_making.cancel_edge_bps: 9 is above min_edge_bps, allowed: up to 0.5",
        ),
        (
            "hedging.alarm_after_ms",
            "2001",
            "hedging.alarm_after_ms: 2001 is above stop_quoting_after_ms, allowed: up to 2000",
        ),
        ("market_making.enabled", "true", "market_making.enabled cannot be changed while running"),
        ("engine.mode", "live", "engine.mode cannot be changed while running"),
        ("limits", "1", "limits cannot be changed while running"),
        ("", "1", " cannot be changed while running"),
    ],
)
def test_what_is_not_allowed_is_refused_in_words(key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        changed(Config(), key, value)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    "value", ["1\nb = 2", "9" * 5_000, "[1", ""], ids=["two lines", "digits", "no TOML", "nothing"]
)
def test_what_is_no_one_value_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^limits\.max_order_size: is "):
        changed(Config(), "limits.max_order_size", value)


def test_only_the_key_that_is_changed_changes() -> None:
    before = Config()
    after = changed(before, "venues.bybit.max_position", "0.25")
    assert after.venues["bybit"].max_position == Decimal("0.25")
    bybit = replace(after.venues["bybit"], max_position=before.venues["bybit"].max_position)
    assert replace(after, venues={**after.venues, "bybit": bybit}) == before
