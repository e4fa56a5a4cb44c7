from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from hftmm.config import Config, EngineConfig, MarketsConfig, VenueConfig
from hftmm.core.errors import ConfigError
from hftmm.core.instrument import Kind
from hftmm.venues import registry
from hftmm.venues.binance import BinancePrivateCodec
from hftmm.venues.bybit import BybitPrivateCodec
from hftmm.venues.okx import OkxCodec, OkxPrivateCodec
from hftmm.venues.private import Credentials, PrivateCodec


class Fourth(OkxCodec):
    """A venue somebody else wrote."""

    def __init__(self, config: Config, own: VenueConfig) -> None:
        super().__init__()
        self.venue = "fourth"
        self.own = own


class Fifth(Fourth):
    """One at which orders can be placed."""

    def private_codec(self, kinds: frozenset[Kind], *, demo: bool) -> PrivateCodec:
        return OkxPrivateCodec(kinds, demo=demo)


def broken(config: Config, own: VenueConfig) -> OkxCodec:
    raise RuntimeError("no luck today")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages with a venue each, one of ours by name among them."""
    entries = [
        EntryPoint("fourth", f"{__name__}:Fourth", registry.GROUP),
        EntryPoint("fifth", f"{__name__}:Fifth", registry.GROUP),
        EntryPoint("broken", f"{__name__}:broken", registry.GROUP),
        EntryPoint("gone", "hftmm_gone:Codec", registry.GROUP),
        EntryPoint("okx", f"{__name__}:broken", registry.GROUP),
    ]

    def entry_points(**asked: Any) -> list[EntryPoint]:
        return entries if asked == {"group": "hftmm.venues"} else []

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_ours_come_first_and_others_by_name() -> None:
    assert registry.names() == ("binance", "bybit", "okx")


@pytest.mark.usefixtures("registered")
def test_other_packages_add_venues_and_replace_none_of_ours() -> None:
    assert registry.names() == ("binance", "bybit", "okx", "broken", "fifth", "fourth", "gone")
    assert type(registry.codec("okx", Config(), VenueConfig())) is OkxCodec


@pytest.mark.usefixtures("registered")
def test_a_registered_venue_is_made_from_its_own_table() -> None:
    own = VenueConfig(max_age_ms=700)
    config = replace(Config(), venues={"okx": VenueConfig(), "fourth": own})
    codecs = registry.codecs(config)
    assert list(codecs) == ["okx", "fourth"]
    fourth = codecs["fourth"]
    assert isinstance(fourth, Fourth)
    assert fourth.own is own


def test_a_venue_that_is_not_enabled_is_not_made() -> None:
    config = replace(Config(), venues={"okx": VenueConfig(enabled=False), "bybit": VenueConfig()})
    assert list(registry.codecs(config)) == ["bybit"]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("broken", r"venue broken \(.*:broken\) cannot be loaded: no luck today"),
        ("gone", r"venue gone \(hftmm_gone:Codec\) cannot be loaded: No module named 'hftmm_gone'"),
        (
            "sixth",
            "venue sixth is not registered: one of binance, bybit, okx, broken, fifth, fourth",
        ),
    ],
)
def test_a_venue_that_cannot_be_had_is_named_with_its_package(name: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        registry.codec(name, Config(), VenueConfig())


def test_each_codec_gets_what_the_config_says_for_it() -> None:
    own = VenueConfig(book_depth=100)
    codec = registry.codec("binance", Config(), own)
    listing = codec.infer("spot.public", "BTCUSDT", 2)
    request = codec.request_book(listing)
    assert request is not None
    assert "limit=100" in request.path


def private(config: Config) -> dict[str, PrivateCodec]:
    return registry.private_codecs(config, registry.codecs(config))


@pytest.mark.parametrize(
    ("symbols", "kinds"),
    [(("BTC/USDT",), {Kind.SPOT}), (("BTC/USDT", "BTC/USDT:USDT"), {Kind.SPOT, Kind.LINEAR})],
)
def test_each_venue_of_ours_has_a_private_side_of_the_kinds_that_are_traded(
    symbols: tuple[str, ...], kinds: set[Kind]
) -> None:
    found = private(replace(Config(), markets=MarketsConfig(symbols)))
    types = [BinancePrivateCodec, BybitPrivateCodec, OkxPrivateCodec]
    assert list(found) == ["binance", "bybit", "okx"]
    for codec, wanted in zip(found.values(), types, strict=True):
        assert type(codec) is wanted
        assert isinstance(codec, BinancePrivateCodec | BybitPrivateCodec | OkxPrivateCodec)
        assert codec.kinds == kinds


@pytest.mark.parametrize("mode", ["sim", "live", "demo"])
def test_the_test_networks_differ_by_more_than_their_hosts(mode: str) -> None:
    demo = mode == "demo"
    found = private(replace(Config(), engine=EngineConfig(mode=mode)))
    binance, bybit, okx = found.values()
    assert isinstance(binance, BinancePrivateCodec)
    assert binance.restrictions is not demo
    assert isinstance(bybit, BybitPrivateCodec)
    assert bybit.demo is demo
    (request,) = okx.permissions(Credentials("k", "s", "p"), 0)
    assert ("x-simulated-trading" in request.headers) is demo


@pytest.mark.parametrize("mode", ["live", "demo"])
def test_each_private_side_has_its_routes_among_the_hosts_of_the_mode(mode: str) -> None:
    config = replace(Config(), engine=EngineConfig(mode=mode))
    for name, codec in registry.codecs(config).items():
        hosts = codec.hosts(mode)
        routes = private(config)[name].private_endpoints(hosts, frozenset({Kind.SPOT, Kind.LINEAR}))
        assert routes
        assert all(url.startswith("wss://") for url in routes.values())


@pytest.mark.usefixtures("registered")
def test_a_registered_venue_is_traded_on_if_it_offers_a_private_side() -> None:
    config = replace(Config(), venues={"fourth": VenueConfig(), "fifth": VenueConfig()})
    assert list(registry.codecs(config)) == ["fourth", "fifth"]
    ((name, codec),) = private(config).items()
    assert (name, type(codec)) == ("fifth", OkxPrivateCodec)


def test_names_alone_load_no_codec() -> None:
    source = (
        "import json, sys; from hftmm.venues import registry; registry.names()\n"
        "print(json.dumps([name for name in sys.modules if 'numpy' in name or 'codec' in name]))"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    assert not [name for name in json.loads(done.stdout) if "numpy" in name or "hftmm" in name]
