"""OKX v5 on the wire, private side: documented signatures, requests, frames and codes."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hftmm.core.errors import MalformedFrame
from hftmm.core.fees import FeeRates
from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import (
    AccountEvent,
    Amendment,
    Balance,
    Fill,
    OrderAnswer,
    OrderRequest,
    OrderState,
    OrderUpdate,
    Position,
    Rejection,
    StreamEnded,
    StreamReady,
    TimeInForce,
)
from hftmm.venues.okx import OkxPrivateCodec
from hftmm.venues.okx.private_request import Signer, login
from hftmm.venues.private import Credentials, Outgoing, PrivateCodec, SignedRequest, StreamFrame
from tests.test_okx_codec import SPOT, SWAP

FIXTURES = Path(__file__).parent / "fixtures" / "okx"
CODEC = OkxPrivateCodec()
# The sample secret of OKX's documentation.
SAMPLE = Credentials("sample-key", "22582BD0CFF14C41EDBF1AB98506286D", "sample-passphrase")
SAMPLE_MS = 1_607_418_537_715
NOW_MS = 1_781_784_000_150
RECEIVED = NOW_MS * 1_000_000
LISTINGS = {(Kind.SPOT, "BTC-USDT"): SPOT, (Kind.LINEAR, "BTC-USDT-SWAP"): SWAP}

Json = dict[str, Any]


def fixture(name: str) -> bytes:
    return (FIXTURES / f"{name}.json").read_bytes().strip()


def changed(name: str, **fields: Any) -> bytes:
    """A pushed fixture with other values in its only row."""
    frame = msgspec.json.decode(fixture(name))
    frame["data"][0] |= fields
    return msgspec.json.encode(frame)


def decode(frame: bytes | Json) -> list[AccountEvent]:
    raw = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
    return CODEC.decode_account("private", raw, LISTINGS, RECEIVED)


def order(listing: Listing = SWAP, **fields: Any) -> OrderRequest:
    sample = OrderRequest("deskmm1", listing, "buy", Decimal("60000.1"), Decimal("0.0123"))
    return msgspec.structs.replace(sample, **fields)


def sent(outgoing: Outgoing) -> Json:
    """The arguments of one order, by whichever way it goes."""
    if isinstance(outgoing, SignedRequest):
        body: Json = msgspec.json.decode(outgoing.body)
        return body
    frame = msgspec.json.decode(outgoing.frame)
    (args,) = frame["args"]
    found: Json = args
    return found


def rest(outgoing: Outgoing) -> SignedRequest:
    assert isinstance(outgoing, SignedRequest)
    return outgoing


def every_request(codec: OkxPrivateCodec = CODEC) -> list[SignedRequest]:
    """One REST request of every verb that makes one."""
    change = Amendment("deskmm1", SWAP, "buy", Decimal(60000), Decimal("0.01"))
    armed = codec.arm_dead_man(SAMPLE, SWAP, 30_000, NOW_MS)
    assert armed is not None
    fills = codec.fills_since(SAMPLE, SPOT, NOW_MS - 1000, NOW_MS)
    return [
        rest(codec.place(SAMPLE, order(), NOW_MS, rest=True)),
        rest(codec.amend(SAMPLE, change, NOW_MS, rest=True)),
        rest(codec.cancel(SAMPLE, SWAP, "deskmm1", "", NOW_MS, rest=True)),
        *map(rest, codec.cancel_all(SAMPLE, SPOT, [("deskmm1", ""), ("", "25")], NOW_MS)),
        *codec.open_orders(SAMPLE, Kind.LINEAR, SWAP, NOW_MS),
        codec.order(SAMPLE, SPOT, "deskmm1", NOW_MS),
        fills,
        codec.next_page(SAMPLE, fills, "1800000000000000001", NOW_MS),
        *codec.positions(SAMPLE, NOW_MS),
        *codec.balances(SAMPLE, frozenset({Kind.SPOT}), NOW_MS),
        codec.fee_rates(SAMPLE, SWAP, NOW_MS),
        *codec.permissions(SAMPLE, NOW_MS),
        armed,
        codec.funding_since(SAMPLE, NOW_MS - 1000, NOW_MS),
    ]


def test_the_codec_has_the_verbs_of_every_venue() -> None:
    codec: PrivateCodec = CODEC
    assert codec.venue == "okx"


# --- signing ------------------------------------------------------------------------------


def test_a_query_is_signed_as_documented() -> None:
    request = Signer(False).get(
        SAMPLE, "/api/v5/account/balance?ccy=BTC", SAMPLE_MS, purpose="balances"
    )
    assert request.headers["OK-ACCESS-SIGN"] == "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="
    assert request.headers["OK-ACCESS-TIMESTAMP"] == "2020-12-08T09:08:57.715Z"


def test_a_body_is_signed_as_documented() -> None:
    request = Signer(False).post(
        SAMPLE,
        "/api/v5/trade/order",
        {
            "instId": "BTC-USDT",
            "tdMode": "cash",
            "side": "buy",
            "ordType": "limit",
            "px": "100",
            "sz": "0.01",
        },
        SAMPLE_MS,
        purpose="answer",
        request_id="x",
    )
    assert request.headers["OK-ACCESS-SIGN"] == "+rpDqzrMkIhm6uKqtl/JIVBVbLL4HCypoWOz99yS6rc="


def test_a_login_is_signed_as_documented() -> None:
    (claim,) = msgspec.json.decode(login(SAMPLE, 1_538_054_050_999))["args"]
    assert claim == {
        "apiKey": SAMPLE.key,
        "passphrase": SAMPLE.passphrase,
        "timestamp": "1538054050",
        "sign": "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M=",
    }


@pytest.mark.parametrize("request_", every_request(), ids=lambda request: request.purpose)
def test_what_is_signed_is_what_is_sent(request_: SignedRequest) -> None:
    headers = request_.headers
    stamp = headers["OK-ACCESS-TIMESTAMP"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    prehash = f"{stamp}{request_.method}{request_.path}".encode() + request_.body
    digest = hmac.new(SAMPLE.secret.encode(), prehash, hashlib.sha256).digest()
    assert headers["OK-ACCESS-SIGN"] == base64.b64encode(digest).decode()
    assert (headers["OK-ACCESS-KEY"], headers["OK-ACCESS-PASSPHRASE"]) == (
        SAMPLE.key,
        SAMPLE.passphrase,
    )
    assert request_.body == b"" or request_.method == "POST"
    assert request_.route == "rest"


def test_only_demo_says_that_it_is_demo() -> None:
    for request in every_request():
        assert "x-simulated-trading" not in request.headers
    for request in every_request(OkxPrivateCodec(demo=True)):
        assert request.headers["x-simulated-trading"] == "1"


@given(st.integers(0, 4_102_444_800_000))
def test_the_stamp_of_rest_is_the_moment_to_the_millisecond(now_ms: int) -> None:
    request = Signer(False).get(SAMPLE, "/x", now_ms, purpose="x")
    stamp = request.headers["OK-ACCESS-TIMESTAMP"]
    assert round(datetime.fromisoformat(stamp).timestamp() * 1000) == now_ms


def test_secrets_are_in_no_representation() -> None:
    frames = CODEC.login(SAMPLE, "private", NOW_MS)
    made = [SAMPLE, *frames, *every_request(), CODEC.place(SAMPLE, order(), NOW_MS)]
    proofs = [request.headers["OK-ACCESS-SIGN"] for request in every_request()]
    proofs.append(msgspec.json.decode(frames[0].frame)["args"][0]["sign"])
    shown = f"{made!r} {[str(one) for one in made]}"
    assert not [
        secret
        for secret in (SAMPLE.key, SAMPLE.secret, SAMPLE.passphrase, *proofs)
        if secret in shown
    ]


def test_secrets_a_venue_quotes_are_not_passed_on() -> None:
    quoted = CODEC.login(SAMPLE, "private", NOW_MS)[0].frame.decode()
    sign = msgspec.json.decode(quoted)["args"][0]["sign"]
    page = f"<p>OK-ACCESS-PASSPHRASE: {SAMPLE.passphrase}</p>".encode()
    told = [
        *decode({"event": "error", "code": "60012", "msg": f"Illegal request: {quoted}"}),
        CODEC.classify(502, page),
        CODEC.classify(400, quoted.encode() + b"}"),
    ]
    shown = repr(told)
    assert "Illegal request" in shown
    assert not [one for one in (SAMPLE.key, SAMPLE.passphrase, sign) if one in shown]


# --- requests -----------------------------------------------------------------------------


def test_one_stream_is_for_everything() -> None:
    hosts = {"private": "wss://host/ws/v5/private", "rest": "https://host"}
    endpoints = CODEC.private_endpoints(hosts, frozenset({Kind.SPOT, Kind.LINEAR}))
    assert endpoints == {"private": "wss://host/ws/v5/private"}
    assert CODEC.renew(SAMPLE, Kind.LINEAR, "", NOW_MS) is None
    with pytest.raises(MalformedFrame):
        CODEC.decode_renewal(b"{}")


def test_after_the_login_each_channel_is_subscribed_to_by_itself() -> None:
    first, *rest_ = CODEC.login(SAMPLE, "private", NOW_MS)
    assert msgspec.json.decode(first.frame)["op"] == "login"
    asked = [msgspec.json.decode(frame.frame) for frame in rest_]
    assert [one["args"] for one in asked] == [
        [{"channel": "orders", "instType": "ANY"}],
        [{"channel": "account"}],
        [{"channel": "positions", "instType": "SWAP"}],
    ]
    for one, frame in zip(asked, rest_, strict=True):
        assert re.fullmatch(r"[A-Za-z0-9]{1,32}", one["id"])
        assert one["id"] == frame.request_id


def test_an_order_on_the_stream_names_its_instrument_by_number_alone() -> None:
    frame = CODEC.place(SAMPLE, order(post_only=True), NOW_MS)
    assert isinstance(frame, StreamFrame)
    assert msgspec.json.decode(frame.frame) == {
        "id": "deskmm1",
        "op": "order",
        "args": [
            {
                "instIdCode": 10459,
                "clOrdId": "deskmm1",
                "tdMode": "cross",
                "side": "buy",
                "ordType": "post_only",
                "px": "60000.1",
                "sz": "1.23",
                "tag": "hftmm",
                "stpMode": "cancel_maker",
            }
        ],
        "expTime": str(NOW_MS + 2000),
    }


def test_an_order_by_rest_names_its_instrument_by_name_alone() -> None:
    request = rest(CODEC.place(SAMPLE, order(SPOT), NOW_MS, rest=True))
    args = sent(request)
    assert args["instId"] == "BTC-USDT"
    assert "instIdCode" not in args
    assert (args["tdMode"], args["sz"]) == ("cash", "0.0123")
    assert request.headers["expTime"] == str(NOW_MS + 2000)


def test_an_instrument_without_a_number_goes_by_rest() -> None:
    nameless = dataclasses.replace(SWAP, venue_code=None)
    assert sent(rest(CODEC.place(SAMPLE, order(nameless), NOW_MS)))["instId"] == "BTC-USDT-SWAP"
    assert rest(CODEC.cancel(SAMPLE, nameless, "deskmm1", "", NOW_MS)).path.endswith("cancel-order")


@pytest.mark.parametrize(
    ("post_only", "time_in_force", "kind"),
    [
        (False, TimeInForce.GTC, "limit"),
        (True, TimeInForce.GTC, "post_only"),
        (False, TimeInForce.IOC, "ioc"),
        (False, TimeInForce.FOK, "fok"),
    ],
)
def test_order_types(post_only: bool, time_in_force: TimeInForce, kind: str) -> None:
    request = order(post_only=post_only, time_in_force=time_in_force)
    assert sent(CODEC.place(SAMPLE, request, NOW_MS))["ordType"] == kind


def test_only_swaps_reduce_only() -> None:
    assert sent(CODEC.place(SAMPLE, order(reduce_only=True), NOW_MS))["reduceOnly"] is True
    assert "reduceOnly" not in sent(CODEC.place(SAMPLE, order(SPOT, reduce_only=True), NOW_MS))


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_sizes_and_prices_go_out_exactly_and_without_an_exponent(lots: int, ticks: int) -> None:
    for listing, contract in ((SWAP, Decimal("0.01")), (SPOT, Decimal(1))):
        size, price = listing.lot * lots, listing.tick * ticks
        args = sent(CODEC.place(SAMPLE, order(listing, size=size, price=price), NOW_MS))
        for text in (args["sz"], args["px"]):
            assert re.fullmatch(r"[0-9]+(\.[0-9]*[1-9])?", text)
        assert Decimal(args["sz"]) * contract == size
        assert Decimal(args["px"]) == price


def test_contracts_are_those_of_the_documented_example() -> None:
    size = SWAP.size(Decimal("0.01234"))
    assert sent(CODEC.place(SAMPLE, order(size=size), NOW_MS))["sz"] == "1.23"


@pytest.mark.parametrize(
    "client_id", ["", "with-hyphen", "with_line", "x" * 33, 'quote"', "ümlaut"]
)
def test_a_client_id_that_okx_refuses_is_not_sent(client_id: str) -> None:
    with pytest.raises(ValueError, match="1 to 32 letters and digits"):
        CODEC.place(SAMPLE, order(client_id=client_id), NOW_MS)


@pytest.mark.parametrize("client_id", ["deskmm1", "x" * 32])
def test_requests_about_one_order_have_different_short_ids(client_id: str) -> None:
    change = Amendment(client_id, SWAP, "buy", Decimal(60000), Decimal("0.01"))
    ids = [
        CODEC.place(SAMPLE, order(client_id=client_id), NOW_MS).request_id,
        CODEC.amend(SAMPLE, change, NOW_MS).request_id,
        CODEC.cancel(SAMPLE, SWAP, client_id, "", NOW_MS).request_id,
    ]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,32}", one) for one in ids)


def test_an_amend_says_price_and_total_size_and_names_the_order_by_its_best_id() -> None:
    change = Amendment("deskmm1", SWAP, "buy", Decimal("60000.20"), Decimal("0.02"))
    frame = CODEC.amend(SAMPLE, change, NOW_MS)
    assert isinstance(frame, StreamFrame)
    assert msgspec.json.decode(frame.frame)["expTime"] == str(NOW_MS + 2000)
    assert sent(frame) == {
        "instIdCode": 10459,
        "clOrdId": "deskmm1",
        "newPx": "60000.2",
        "newSz": "2",
        "reqId": frame.request_id,
    }
    known = sent(CODEC.amend(SAMPLE, msgspec.structs.replace(change, venue_id="25"), NOW_MS))
    assert known["ordId"] == "25"
    assert "clOrdId" not in known


def test_a_cancel_never_expires() -> None:
    frame = CODEC.cancel(SAMPLE, SWAP, "deskmm1", "25", NOW_MS)
    assert isinstance(frame, StreamFrame)
    assert msgspec.json.decode(frame.frame) == {
        "id": frame.request_id,
        "op": "cancel-order",
        "args": [{"instIdCode": 10459, "ordId": "25"}],
    }
    assert "expTime" not in rest(CODEC.cancel(SAMPLE, SWAP, "a", "", NOW_MS, rest=True)).headers


def test_a_dead_man_switch_is_of_our_tag_and_of_whole_seconds() -> None:
    for timeout_ms, said in ((30_000, "30"), (10_001, "11"), (0, "0")):
        request = CODEC.arm_dead_man(SAMPLE, SWAP, timeout_ms, NOW_MS)
        assert request is not None
        assert sent(request) == {"timeOut": said, "tag": "hftmm"}
        assert request.path == "/api/v5/trade/cancel-all-after"


def test_fills_older_than_three_days_are_asked_for_elsewhere() -> None:
    day_ms = 86_400_000
    recent = CODEC.fills_since(SAMPLE, SWAP, NOW_MS - 2 * day_ms, NOW_MS)
    older = CODEC.fills_since(SAMPLE, SWAP, NOW_MS - 3 * day_ms, NOW_MS)
    assert recent.path.startswith("/api/v5/trade/fills?")
    assert older.path.startswith("/api/v5/trade/fills-history?")
    assert "instType=SWAP&instId=BTC-USDT-SWAP" in older.path


def test_a_page_begins_where_the_last_one_ended() -> None:
    first = CODEC.fills_since(SAMPLE, SPOT, NOW_MS - 1000, NOW_MS)
    second = CODEC.next_page(SAMPLE, first, "9", NOW_MS)
    third = CODEC.next_page(SAMPLE, second, "5", NOW_MS)
    assert second.path == first.path + "&after=9"
    assert third.path == first.path + "&after=5"


# --- answers ------------------------------------------------------------------------------


def reply(code: str, *rows: Json, message: str = "", op: str = "order") -> Json:
    return {"id": "deskmm1", "op": op, "code": code, "msg": message, "data": list(rows)}


def row(code: str, message: str = "", sub_code: str = "", **fields: str) -> Json:
    base = {"clOrdId": "deskmm1", "ordId": "25", "ts": "1", "tag": ""}
    return base | {"sCode": code, "sMsg": message, "subCode": sub_code} | fields


def answer(frame: Json) -> OrderAnswer:
    (event,) = decode(frame)
    assert isinstance(event, OrderAnswer)
    return event


def both_ways(code: str, *rows: Json, message: str = "") -> list[OrderAnswer]:
    """An answer as the stream and as REST bring it."""
    frame = reply(code, *rows, message=message)
    request = rest(CODEC.place(SAMPLE, order(), NOW_MS, rest=True))
    body = msgspec.json.encode({name: frame[name] for name in ("code", "msg", "data")})
    return [answer(frame), CODEC.decode_answer(request, 200, body)]


def test_an_accepted_order_has_the_id_of_the_venue() -> None:
    for told in both_ways("0", row("0", "Order successfully placed.")):
        assert told == OrderAnswer("deskmm1", "deskmm1", "25", accepted=True)


@pytest.mark.parametrize("code", ["0", "1", "2"])
def test_the_code_of_the_order_goes_before_that_of_the_request(code: str) -> None:
    refusal = row("51008", "Insufficient balance", "1000", ordId="")
    for told in both_ways(code, refusal, message="All operations failed"):
        assert (told.accepted, told.unknown) == (False, False)
        assert told.rejection is Rejection.BALANCE
        assert told.text.startswith("51008 (1000) Insufficient balance")
        assert told.client_id == "deskmm1"


def test_a_request_refused_as_a_whole_is_about_its_order() -> None:
    for told in both_ways("50011", message="Too Many Requests"):
        assert (told.client_id, told.accepted, told.unknown) == ("deskmm1", False, False)
        assert (told.rejection, told.retry_after_ms) == (Rejection.RATE, 2_000)


@pytest.mark.parametrize("code", ["0", "2"])
def test_a_success_without_a_word_of_the_order_leaves_it_unknown(code: str) -> None:
    for told in both_ways(code):
        assert (told.accepted, told.unknown) == (False, True)


@pytest.mark.parametrize("op", ["amend-order", "cancel-order"])
def test_an_answer_names_the_order_by_the_id_of_the_request(op: str) -> None:
    frame = reply("60013", message="Invalid args", op=op) | {"id": f"deskmm1{op[0].upper()}"}
    told = answer(frame)
    assert (told.request_id, told.client_id) == (f"deskmm1{op[0].upper()}", "deskmm1")


def test_an_error_event_with_the_id_of_an_order_is_its_answer() -> None:
    told = answer({"event": "error", "id": "deskmm1C", "code": "60011", "msg": "Please log in"})
    assert (told.client_id, told.accepted, told.unknown) == ("deskmm1", False, False)


def bulk(*rows: Json, code: str = "2") -> OrderAnswer:
    (request,) = CODEC.cancel_all(SAMPLE, SPOT, [("a", ""), ("b", ""), ("c", "")], NOW_MS)
    body = msgspec.json.encode({"code": code, "msg": "", "data": list(rows)})
    return CODEC.decode_answer(rest(request), 200, body)


def test_a_batch_is_a_success_if_nothing_is_left_open() -> None:
    assert bulk(row("0"), row("0"), code="0").accepted
    told = bulk(row("0"), row("51400"), row("51401"))
    assert (told.accepted, told.text) == (True, "2 of 3 were done already")


def test_a_batch_is_none_if_an_order_may_be_open() -> None:
    told = bulk(row("0"), row("51400"), row("50011", "Too Many Requests"))
    assert (told.accepted, told.unknown, told.rejection) == (False, False, Rejection.RATE)
    assert told.text.startswith("1 of 3 not canceled: 50011")
    assert told.retry_after_ms == 2_000
    told = bulk(row("51000"), row("51412", "Cancel timed out"), row("0"))
    assert (told.accepted, told.unknown) == (False, True)
    assert told.text.startswith("2 of 3 not canceled: 51412")


CLASSES: dict[Rejection, str] = {
    Rejection.POST_ONLY: "51511",
    Rejection.REDUCE_ONLY: "51169 51170 51112",
    Rejection.BALANCE: "51008 51127 51131 51004 54030 54031",
    Rejection.FILTER: "51006 51137 51138 51020 51120 51007 51121 51005 51116",
    Rejection.RATE: "50011 50061 60014 60023",
    Rejection.DUPLICATE: "50071 51016",
    Rejection.UNKNOWN_ORDER: "51603",
    Rejection.ALREADY_DONE: "51400 51401 51402 51509 51510 51503",
    Rejection.CLOCK: "50036 50037 50102 50112 60004 60006",
    Rejection.CREDENTIALS: (
        "50027 50028 50029 51024 50100 50101 50105 50110 50111 50113 50114 50119 50120 59113 "
        "60005 60007 60009 60024 60032"
    ),
    Rejection.NOT_TRADING: (
        "50017 50018 50019 50020 50021 50022 50023 51029 51030 51001 51021 51022 51027 51087 54012"
    ),
    Rejection.OTHER: (
        "50001 50004 51054 50013 50026 50072 51000 51025 51410 51412 51512 51513 54036 59000 60011 "
        "60012 60013 60019 60027 60033 60018 60008 60028 64001 64002 60031 63999 64003 64004 64007 "
        "64008 51071 51111 50014"
    ),
}
UNKNOWN = frozenset({"50001", "50004", "50013", "50026", "51054", "51410", "51412", "64007"})


@pytest.mark.parametrize(
    ("code", "rejection"),
    [(code, rejection) for rejection, codes in CLASSES.items() for code in codes.split()],
)
def test_every_documented_code_has_a_class_and_words(code: str, rejection: Rejection) -> None:
    body = msgspec.json.encode({"code": code, "msg": "said", "data": []})
    found, unknown, text = CODEC.classify(200, body)
    assert (found, unknown) == (rejection, code in UNKNOWN)
    assert re.fullmatch(rf"{code} said \(.{{10,}}\)", text)
    told = answer(reply("1", row(code, "said"), message="All operations failed"))
    assert (told.rejection, told.unknown, told.text) == (rejection, unknown, text)


@pytest.mark.parametrize(
    ("status", "body", "rejection", "unknown"),
    [
        (403, b"<html>firewall</html>", Rejection.RATE, False),
        (429, b"", Rejection.RATE, False),
        (429, b'{"code":"50011","msg":"Too Many Requests","data":[]}', Rejection.RATE, False),
        (404, b"not here", Rejection.OTHER, False),
        (502, b"<html>bad gateway</html>", Rejection.OTHER, True),
        (503, b'{"code":"50001","msg":"down","data":[]}', Rejection.OTHER, True),
        (500, b'{"code":"59999","msg":"unheard of","data":[]}', Rejection.OTHER, True),
        (200, b'{"code":"59999","msg":"unheard of","data":[]}', Rejection.OTHER, False),
        (200, b"<html>hello</html>", Rejection.OTHER, True),
        (200, b"", Rejection.OTHER, True),
        (200, b'{"code":"1","msg":"","data":[{"sCode":"51603"}]}', Rejection.UNKNOWN_ORDER, False),
        (401, b'{"code":"50113","msg":"Invalid Sign","data":{}}', Rejection.CREDENTIALS, False),
    ],
)
def test_pages_and_codes_nobody_heard_of_are_told_apart_by_status(
    status: int, body: bytes, rejection: Rejection, unknown: bool
) -> None:
    found = CODEC.classify(status, body)
    assert found[:2] == (rejection, unknown)
    assert found[2]
    request = rest(CODEC.place(SAMPLE, order(), NOW_MS, rest=True))
    told = CODEC.decode_answer(request, status, body)
    assert (told.accepted, told.rejection, told.unknown) == (False, rejection, unknown)


# --- the stream: orders ---------------------------------------------------------------------


def only_update(frame: bytes) -> OrderUpdate:
    (event,) = decode(frame)
    assert isinstance(event, OrderUpdate)
    return event


def test_a_fill_of_a_swap_is_in_coins_and_its_fee_is_a_cost() -> None:
    fill, update = decode(fixture("private_order_swap_fill"))
    assert fill == Fill(
        listing=SWAP,
        trade_id="777001",
        client_id="deskmm1",
        venue_id="2510000000000000001",
        side="sell",
        price=Decimal("60000.1"),
        size=Decimal("0.005"),
        fee=Decimal("0.15"),
        fee_asset="USDT",
        maker=False,
        venue_ns=1_781_784_000_120_000_000,
        received_ns=RECEIVED,
    )
    assert update == OrderUpdate(
        listing=SWAP,
        client_id="deskmm1",
        venue_id="2510000000000000001",
        side="sell",
        state=OrderState.PARTIALLY_FILLED,
        filled=Decimal("0.012"),
        average=Decimal("60000.05"),
        price=Decimal("60000.2"),
        size=Decimal("0.03"),
        rejection=None,
        text="",
        venue_ns=1_781_784_000_121_000_000,
        received_ns=RECEIVED,
    )


def test_a_spot_buy_pays_in_base_and_a_rebate_is_negative() -> None:
    fill, update = decode(fixture("private_order_spot_fill"))
    assert isinstance(fill, Fill)
    assert isinstance(update, OrderUpdate)
    assert (fill.size, fill.fee, fill.fee_asset, fill.maker) == (
        Decimal("0.01"),
        Decimal("0.000008"),
        "BTC",
        True,
    )
    assert update.state is OrderState.FILLED
    rebate, _ = decode(changed("private_order_spot_fill", fillFee="0.004", fillFeeCcy="USDT"))
    assert isinstance(rebate, Fill)
    assert (rebate.fee, rebate.fee_asset) == (Decimal("-0.004"), "USDT")
    silent, _ = decode(changed("private_order_spot_fill", fillFee=""))
    assert isinstance(silent, Fill)
    assert silent.fee is None


@pytest.mark.parametrize("fields", [{"tradeId": ""}, {"tradeId": "0"}, {"fillSz": "0"}])
def test_a_push_without_a_trade_is_no_fill(fields: Json) -> None:
    update = only_update(changed("private_order_swap_fill", **fields))
    assert update.filled == Decimal("0.012")


def test_filled_with_nothing_filled_now_ends_the_order_without_a_fill() -> None:
    frame = changed("private_order_spot_fill", fillSz="0", tradeId="", fillPx="", fillTime="")
    assert only_update(frame).state is OrderState.FILLED


@pytest.mark.parametrize(
    ("source", "rejection"),
    [
        ("1", None),
        ("31", Rejection.POST_ONLY),
        ("14", Rejection.NOTHING_TO_TAKE),
        ("13", Rejection.NOTHING_TO_TAKE),
        ("32", Rejection.SELF_TRADE),
        ("17", Rejection.REDUCE_ONLY),
        ("22", Rejection.REDUCE_ONLY),
        ("23", Rejection.REDUCE_ONLY),
        ("15", Rejection.FILTER),
        ("27", Rejection.FILTER),
        ("2", Rejection.BALANCE),
        ("3", Rejection.BALANCE),
        ("9", Rejection.BALANCE),
        ("0", Rejection.OTHER),
        ("6", Rejection.OTHER),
        ("20", Rejection.OTHER),
        ("33", Rejection.OTHER),
        ("99", Rejection.OTHER),
    ],
)
def test_a_canceled_order_says_why_and_keeps_what_was_filled(
    source: str, rejection: Rejection | None
) -> None:
    frame = changed(
        "private_order_swap_fill", state="canceled", cancelSource=source, tradeId="", fillSz="0"
    )
    update = only_update(frame)
    assert (update.state, update.filled) == (OrderState.CANCELED, Decimal("0.012"))
    assert update.rejection is rejection
    assert bool(update.text) is (rejection is not None)


def test_words_nobody_has_heard_of_are_no_error() -> None:
    frame = changed(
        "private_order_swap_fill",
        state="rebased",
        category="new-category",
        source="77",
        execType="Z",
        brandNew={"a": [1]},
    )
    fill, update = decode(frame)
    assert isinstance(fill, Fill)
    assert isinstance(update, OrderUpdate)
    assert (fill.maker, update.state) == (False, OrderState.UNKNOWN)


def test_what_is_not_applicable_is_none_and_not_zero() -> None:
    blank = dict.fromkeys(("px", "sz", "avgPx", "fillPx", "fillSz", "fillFee", "tradeId"), "")
    update = only_update(changed("private_order_swap_fill", **blank))
    assert (update.price, update.size, update.average) == (None, None, None)
    assert only_update(changed("private_order_swap_fill", avgPx="0", tradeId="")).average is None


def test_a_market_order_sized_in_quote_has_no_size_in_coins() -> None:
    frame = changed("private_order_spot_fill", tgtCcy="quote_ccy", sz="600", tradeId="")
    assert only_update(frame).size is None


def test_a_change_that_failed_after_it_was_accepted_is_refused_then() -> None:
    frame = changed(
        "private_order_swap_fill",
        tradeId="",
        amendResult="-1",
        reqId="deskmm1A",
        code="51511",
        msg="post-only",
    )
    update, told = decode(frame)
    assert isinstance(update, OrderUpdate)
    assert isinstance(told, OrderAnswer)
    assert (told.request_id, told.client_id) == ("deskmm1A", "deskmm1")
    assert (told.accepted, told.rejection) == (False, Rejection.POST_ONLY)
    assert len(decode(changed("private_order_swap_fill", tradeId="", amendResult="0"))) == 1


@pytest.mark.parametrize(
    "fields",
    [{"instType": "MARGIN"}, {"instType": "OPTION"}, {"instId": "ETH-USDT-SWAP"}],
)
def test_orders_of_what_is_not_traded_here_are_left_out(fields: Json) -> None:
    assert decode(changed("private_order_swap_fill", **fields)) == []


# --- the stream: account --------------------------------------------------------------------


def test_an_unrealised_loss_is_not_available_and_a_profit_neither() -> None:
    told = decode(fixture("private_account"))
    balances = {event.asset: event for event in told if isinstance(event, Balance)}
    stamp = 1_781_784_000_150_000_000
    usdt = Balance("okx", "", "USDT", Decimal("10000.5"), Decimal("8990.25"), stamp, RECEIVED)
    assert balances["USDT"] == usdt
    detail = {"ccy": "USDT", "cashBal": "100", "availBal": "90", "availEq": "95", "upl": "5"}
    (profit,) = decode(changed_account(detail))
    assert isinstance(profit, Balance)
    assert profit.available == Decimal(90)


def changed_account(*details: Json, **envelope: Any) -> Json:
    frame: Json = msgspec.json.decode(fixture("private_account"))
    frame |= {"eventType": "event_update"} | envelope
    frame["data"][0]["details"] = list(details)
    return frame


def assets(frame: Json) -> dict[str, Decimal]:
    return {event.asset: event.total for event in decode(frame) if isinstance(event, Balance)}


def test_only_a_whole_snapshot_says_that_what_it_leaves_out_is_zero() -> None:
    usdt = {"ccy": "USDT", "cashBal": "100", "availBal": "90"}
    assert assets(changed_account(usdt)) == {"USDT": 100}
    snapshot = changed_account(usdt, eventType="snapshot")
    assert assets(snapshot) == {"USDT": 100, "BTC": 0}
    for page in ({"curPage": 1, "lastPage": False}, {"curPage": 2, "lastPage": True}):
        assert assets(snapshot | page) == {"USDT": 100}


def test_a_balance_without_cash_is_not_told() -> None:
    assert assets(changed_account({"ccy": "USDT", "cashBal": ""})) == {}


def test_a_position_is_signed_and_in_coins() -> None:
    assert decode(fixture("private_positions")) == [
        Position(
            listing=SWAP,
            size=Decimal("-0.015"),
            entry=Decimal("60000.05"),
            unrealised=Decimal("-0.15"),
            venue_ns=1_781_784_000_150_000_000,
            received_ns=RECEIVED,
        )
    ]


def test_only_a_whole_snapshot_says_that_positions_it_leaves_out_are_flat() -> None:
    frame: Json = msgspec.json.decode(fixture("private_positions")) | {"data": []}
    (flat,) = decode(frame)
    assert isinstance(flat, Position)
    assert (flat.listing.key, flat.size, flat.entry) == (SWAP.key, Decimal(0), None)
    assert decode(frame | {"lastPage": False}) == []
    assert decode(frame | {"eventType": "event_update"}) == []


def test_a_closed_position_is_flat_and_two_sides_are_their_difference() -> None:
    (flat,) = decode(changed("private_positions", pos="0", avgPx="", upl=""))
    assert isinstance(flat, Position)
    assert (flat.size, flat.entry) == (Decimal(0), None)
    frame = msgspec.json.decode(fixture("private_positions"))
    sides = [frame["data"][0] | {"pos": pos, "posSide": side} for pos, side in _SIDES]
    (both,) = decode(frame | {"data": sides})
    assert isinstance(both, Position)
    assert (both.size, both.entry) == (Decimal("-0.01"), None)


_SIDES = (("2", "long"), ("3", "short"))


# --- the stream: everything else ------------------------------------------------------------


def test_login_and_subscription_each_say_that_they_are_ready() -> None:
    for frame in (
        {"event": "login", "code": "0", "msg": "", "connId": "a1"},
        {"event": "subscribe", "id": "Sorders", "arg": {"channel": "orders"}, "connId": "a1"},
    ):
        assert decode(frame) == [StreamReady("private", ok=True)]


@pytest.mark.parametrize(
    ("frame", "rejection"),
    [
        ({"event": "error", "code": "60009", "msg": "Login failed."}, Rejection.CREDENTIALS),
        ({"event": "error", "code": "60006", "msg": "Expired"}, Rejection.CLOCK),
        ({"event": "error", "id": "Sorders", "code": "60018", "msg": "Wrong"}, Rejection.OTHER),
        ({"event": "login", "code": "60024", "msg": "Wrong"}, Rejection.CREDENTIALS),
    ],
)
def test_a_failed_login_or_subscription_says_why(frame: Json, rejection: Rejection) -> None:
    (ready,) = decode(frame)
    assert isinstance(ready, StreamReady)
    assert (ready.ok, ready.rejection) == (False, rejection)
    assert frame["code"] in ready.text


def test_a_notice_and_a_connection_too_many_end_the_stream() -> None:
    for frame, words in (
        ({"event": "notice", "code": "64008", "msg": "service upgrade"}, "64008"),
        ({"event": "channel-conn-count-error", "channel": "orders", "connCount": "31"}, "orders"),
    ):
        (ended,) = decode(frame)
        assert isinstance(ended, StreamEnded)
        assert words in ended.text


@pytest.mark.parametrize(
    "frame",
    [
        b"pong",
        b'{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a"}',
        b'{"event":"unsubscribe","arg":{"channel":"orders"},"connId":"a"}',
        b'{"event":"notice","code":"1","msg":"hello"}',
        b'{"arg":{"channel":"balance_and_position"},"data":[{"pTime":"1"}]}',
        b'{"arg":{"channel":"brand-new"},"data":[1,2,3]}',
        b"{}",
    ],
)
def test_what_is_nothing_to_us_is_passed_over(frame: bytes) -> None:
    assert decode(frame) == []


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"ping?",
        b"[]",
        b"\xff{}",
        changed("private_order_swap_fill", sz="many"),
        changed("private_order_swap_fill", sz="NaN"),
        changed("private_order_swap_fill", side="both"),
        changed("private_order_swap_fill", uTime="yesterday"),
        changed("private_order_swap_fill", fillPx=""),
        changed("private_positions", pos="1e999"),
    ],
)
def test_a_frame_that_makes_no_sense_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode(frame)


@given(
    st.sampled_from(["private_order_swap_fill", "private_account", "private_positions"]), st.data()
)
def test_a_damaged_frame_is_decoded_or_malformed(name: str, data: st.DataObject) -> None:
    frame = bytearray(fixture(name))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        events = decode(bytes(frame))
    except MalformedFrame:
        return
    assert all(event is not None for event in events)


# --- queries ------------------------------------------------------------------------------


def pending(*rows: Json) -> bytes:
    base = msgspec.json.decode(fixture("private_order_swap_fill"))["data"][0]
    return msgspec.json.encode({"code": "0", "msg": "", "data": [base | one for one in rows]})


def test_a_full_page_of_orders_has_a_next_one() -> None:
    rows = [{"ordId": str(1000 - number)} for number in range(100)]
    full, cursor = CODEC.decode_orders(pending(*rows), LISTINGS, RECEIVED)
    assert (len(full), cursor) == (100, "901")
    short, cursor = CODEC.decode_orders(pending(*rows[:99]), LISTINGS, RECEIVED)
    assert (len(short), cursor) == (99, "")


def test_the_last_fill_of_an_order_asked_for_is_not_a_new_one() -> None:
    (update,), _ = CODEC.decode_orders(pending({}), LISTINGS, RECEIVED)
    assert update == decode(fixture("private_order_swap_fill"))[1]


def test_an_order_that_is_not_there_is_none() -> None:
    body = b'{"code":"51603","msg":"Order does not exist","data":[]}'
    assert CODEC.decode_orders(body, LISTINGS, RECEIVED) == ([], "")


def test_fills_have_their_fee_and_liquidations_their_own_numbers() -> None:
    fills, cursor = CODEC.decode_fills(fixture("private_fills"), LISTINGS, RECEIVED)
    assert cursor == ""
    assert [(fill.trade_id, fill.fee, fill.size) for fill in fills] == [
        ("777001", Decimal("0.15"), Decimal("0.005")),
        ("-4", Decimal("-0.02"), Decimal("0.02")),
    ]
    assert fills[0] == decode(fixture("private_order_swap_fill"))[0]


def test_fills_of_what_is_not_traded_here_are_left_out() -> None:
    spot_only = {(Kind.SPOT, "BTC-USDT"): SPOT}
    assert CODEC.decode_fills(fixture("private_fills"), spot_only, RECEIVED) == ([], "")


def test_a_funding_payment_of_nothing_is_none() -> None:
    bill = {"billId": "2", "ccy": "USDT", "instId": "BTC-USDT-SWAP", "instType": "SWAP", "ts": "1"}
    rows = [bill | {"balChg": "-0.5"}, bill | {"balChg": "0"}]
    body = msgspec.json.encode({"code": "0", "msg": "", "data": rows})
    (payment,), cursor = CODEC.decode_funding(body, LISTINGS, RECEIVED)
    assert (payment.listing, payment.amount, cursor) == (SWAP, Decimal("-0.5"), "")


def test_fee_rates_are_those_of_the_group_and_of_our_sign() -> None:
    swap = CODEC.fee_rates(SAMPLE, SWAP, NOW_MS)
    assert swap.path == "/api/v5/account/trade-fee?instType=SWAP&instFamily=BTC-USDT"
    rates = CODEC.decode_fee_rates(swap, fixture("private_trade_fee"))
    assert rates == FeeRates(Decimal(-1), Decimal(3))
    spot = CODEC.fee_rates(SAMPLE, SPOT, NOW_MS)
    assert spot.path == "/api/v5/account/trade-fee?instType=SPOT&instId=BTC-USDT"
    rates = CODEC.decode_fee_rates(spot, fixture("private_trade_fee"))
    assert rates == FeeRates(Decimal(5), Decimal(10))


def test_without_groups_the_older_fields_count() -> None:
    body = b'{"code":"0","msg":"","data":[{"maker":"-0.0008","taker":"-0.001"}]}'
    request = CODEC.fee_rates(SAMPLE, SPOT, NOW_MS)
    assert CODEC.decode_fee_rates(request, body) == FeeRates(Decimal(8), Decimal(10))
    with pytest.raises(MalformedFrame):
        CODEC.decode_fee_rates(request, b'{"code":"0","msg":"","data":[{}]}')
    with pytest.raises(MalformedFrame):
        CODEC.decode_fee_rates(request, b'{"code":"0","msg":"","data":[]}')


@pytest.mark.parametrize(
    ("fields", "kinds", "words"),
    [
        ({}, {Kind.SPOT, Kind.LINEAR}, []),
        ({"perm": "read_only,withdraw,trade"}, {Kind.SPOT}, ["may withdraw"]),
        ({"perm": "read_only"}, {Kind.SPOT}, ["may not trade"]),
        ({"posMode": "long_short_mode"}, {Kind.LINEAR}, ["position mode to net"]),
        ({"posMode": "long_short_mode"}, {Kind.SPOT}, []),
        ({"acctLv": "1"}, {Kind.LINEAR}, ["spot mode, which has no swaps"]),
        ({"acctLv": "1"}, {Kind.SPOT}, []),
        ({"acctLv": "3"}, {Kind.SPOT}, ["multi-currency margin"]),
        ({"acctLv": "4"}, {Kind.SPOT}, ["portfolio margin"]),
        ({"acctLv": "3"}, {Kind.LINEAR}, []),
        ({"acctLv": "7"}, {Kind.SPOT}, ["unknown (7)"]),
    ],
)
def test_what_stands_in_the_way_of_trading_is_said_in_words(
    fields: Json, kinds: set[Kind], words: list[str]
) -> None:
    codec = OkxPrivateCodec(frozenset(kinds))
    (request,) = codec.permissions(SAMPLE, NOW_MS)
    found = codec.decode_permissions([(request, changed("private_config", **fields))])
    assert len(found.problems) == len(words)
    for problem, word in zip(found.problems, words, strict=True):
        assert problem.startswith("okx: ")
        assert word in problem
    assert found.withdraw is ("withdraw" in fields.get("perm", ""))
    assert found.one_way is ("posMode" not in fields)


def test_a_key_whose_configuration_is_not_answered_may_nothing() -> None:
    (request,) = CODEC.permissions(SAMPLE, NOW_MS)
    for answers in ([], [(request, b'{"code":"0","data":[]}')], [(request, b"<html>")]):
        found = CODEC.decode_permissions(answers)
        assert not found.trade_linear
        assert len(found.problems) == 1


def test_the_rules_are_those_that_are_published() -> None:
    for rules in CODEC.rules.values():
        assert rules.order_budget == rules.cancel_budget == (60, 2_000_000_000)
        assert rules.dead_man_ns == (10_000_000_000, 120_000_000_000)
        assert (rules.batch, rules.per_listing, rules.amends_price) == (20, True, True)
