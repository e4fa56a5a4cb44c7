"""What Binance's refusals mean for an order, code by code of the venue's two tables."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from hftmm.core.instrument import Kind, Listing
from hftmm.core.order import OrderAnswer, OrderRequest, Rejection
from hftmm.venues.binance import BinancePrivateCodec
from hftmm.venues.private import Credentials, SignedRequest

CODEC = BinancePrivateCodec()
KEYS = Credentials("the-key", "the-secret")


def listing(kind: Kind) -> Listing:
    symbol = "BTC/USDT" if kind is Kind.SPOT else "BTC/USDT:USDT"
    step = Decimal("0.01")
    return Listing("binance", "BTCUSDT", symbol, kind, "BTC", "USDT", "USDT", step, step)


CLEAR, UNKNOWN = False, True
REFUSALS = [
    ("spot", 400, -2010, "Order would immediately match and take.", Rejection.POST_ONLY, CLEAR),
    ("spot", 400, -2010, "Duplicate order sent.", Rejection.DUPLICATE, CLEAR),
    (
        "spot",
        400,
        -2010,
        "Account has insufficient balance for requested action.",
        Rejection.BALANCE,
        CLEAR,
    ),
    ("spot", 400, -2010, "Market is closed.", Rejection.NOT_TRADING, CLEAR),
    (
        "spot",
        400,
        -2010,
        "This action is disabled on this account.",
        Rejection.CREDENTIALS,
        CLEAR,
    ),
    (
        "spot",
        400,
        -2010,
        "This symbol is not permitted for this account.",
        Rejection.CREDENTIALS,
        CLEAR,
    ),
    ("spot", 400, -2010, "Something new.", Rejection.OTHER, CLEAR),
    ("spot", 400, -1013, "Filter failure: PRICE_FILTER", Rejection.FILTER, CLEAR),
    ("spot", 400, -1013, "Filter failure: NOTIONAL", Rejection.FILTER, CLEAR),
    ("spot", 400, -1013, "Filter failure: MAX_NUM_ORDERS", Rejection.OTHER, CLEAR),
    ("spot", 400, -2021, "Order cancel-replace partially failed.", Rejection.OTHER, CLEAR),
    ("spot", 400, -2022, "Order cancel-replace failed.", Rejection.OTHER, CLEAR),
    ("spot", 400, -2026, "Order was archived.", Rejection.UNKNOWN_ORDER, CLEAR),
    ("spot", 400, -2035, "already active", Rejection.OTHER, CLEAR),
    ("spot", 400, -2036, "not active", Rejection.OTHER, CLEAR),
    ("spot", 400, -2038, "Order amend rejected.", Rejection.OTHER, CLEAR),
    ("spot", 400, -2039, "mismatch", Rejection.OTHER, CLEAR),
    ("spot", 503, -1008, "Server is currently overloaded.", Rejection.RATE, CLEAR),
    ("linear", 503, -1008, "Request throttled by system-level protection.", Rejection.RATE, CLEAR),
    ("linear", 503, None, "Service Unavailable.", Rejection.OTHER, CLEAR),
    (
        "linear",
        503,
        -1001,
        "Internal error; unable to process your request. Please try again.",
        Rejection.OTHER,
        CLEAR,
    ),
    (
        "linear",
        503,
        None,
        "Unknown error, please check your request or try again later.",
        Rejection.OTHER,
        UNKNOWN,
    ),
    ("linear", 400, -2012, "cancel all failed", Rejection.OTHER, CLEAR),
    ("linear", 400, -2018, "Balance is insufficient.", Rejection.BALANCE, CLEAR),
    ("linear", 400, -2019, "Margin is insufficient.", Rejection.BALANCE, CLEAR),
    ("linear", 400, -2020, "Unable to fill.", Rejection.NOTHING_TO_TAKE, CLEAR),
    ("linear", 400, -2022, "ReduceOnly Order is rejected.", Rejection.REDUCE_ONLY, CLEAR),
    ("linear", 400, -2025, "Reach max open order limit.", Rejection.OTHER, CLEAR),
    ("linear", 400, -2027, "exceeded the maximum position", Rejection.BALANCE, CLEAR),
    ("linear", 400, -2028, "leverage is smaller than permitted", Rejection.BALANCE, CLEAR),
    ("linear", 400, -4004, "Quantity less than min quantity.", Rejection.FILTER, CLEAR),
    ("linear", 400, -4005, "Quantity greater than max quantity.", Rejection.FILTER, CLEAR),
    ("linear", 400, -4014, "Price not increased by tick size.", Rejection.FILTER, CLEAR),
    ("linear", 400, -4015, "Client order id is not valid.", Rejection.OTHER, CLEAR),
    ("linear", 400, -4016, "Limit price can't be higher than 1.", Rejection.FILTER, CLEAR),
    ("linear", 400, -4023, "Qty not increased by step size.", Rejection.FILTER, CLEAR),
    ("linear", 400, -4024, "Limit price can't be lower than 1.", Rejection.FILTER, CLEAR),
    ("linear", 400, -4046, "No need to change margin type.", Rejection.OTHER, CLEAR),
    ("linear", 400, -4059, "No need to change position side.", Rejection.OTHER, CLEAR),
    ("linear", 400, -4061, "position side does not match", Rejection.OTHER, CLEAR),
    ("linear", 400, -4116, "ClientOrderId is duplicated.", Rejection.DUPLICATE, CLEAR),
    ("linear", 400, -4120, "use the Algo Order API", Rejection.OTHER, CLEAR),
    ("linear", 400, -4131, "PERCENT_PRICE", Rejection.FILTER, CLEAR),
    ("linear", 400, -4164, "notional must be no smaller than 5", Rejection.FILTER, CLEAR),
    ("linear", 400, -4531, "dual side sync", Rejection.OTHER, CLEAR),
    ("linear", 400, -5021, "FOK order has been rejected", Rejection.NOTHING_TO_TAKE, CLEAR),
    ("linear", 400, -5022, "Post Only order will be rejected", Rejection.POST_ONLY, CLEAR),
    ("linear", 400, -5026, "Exceed maximum modify order limit.", Rejection.OTHER, CLEAR),
    ("linear", 400, -5027, "No need to modify the order.", Rejection.OTHER, CLEAR),
    ("linear", 400, -5028, "outside of the ME recvWindow", Rejection.CLOCK, CLEAR),
    ("linear", 400, -1125, "This listenKey does not exist.", Rejection.OTHER, CLEAR),
    *(
        (market, *row)
        for market in ("spot", "linear")
        for row in (
            (429, -1003, "Too many requests.", Rejection.RATE, CLEAR),
            (418, -1003, "IP banned until 1780000000000.", Rejection.RATE, CLEAR),
            (429, -1015, "Too many new orders.", Rejection.RATE, CLEAR),
            (429, None, "slow down", Rejection.RATE, CLEAR),
            (403, None, "<html>Forbidden</html>", Rejection.RATE, CLEAR),
            (400, -1000, "An unknown error occurred.", Rejection.OTHER, UNKNOWN),
            (400, -1006, "Execution status unknown.", Rejection.OTHER, UNKNOWN),
            (408, -1007, "Timeout waiting for backend.", Rejection.OTHER, UNKNOWN),
            (503, -1007, "Timeout waiting for backend.", Rejection.OTHER, UNKNOWN),
            (500, None, "", Rejection.OTHER, UNKNOWN),
            (502, None, "<html>Bad Gateway</html>", Rejection.OTHER, UNKNOWN),
            (504, None, "<html>Timeout</html>", Rejection.OTHER, UNKNOWN),
            (400, -1021, "outside of the recvWindow", Rejection.CLOCK, CLEAR),
            (400, -1022, "Signature is not valid.", Rejection.CREDENTIALS, CLEAR),
            (400, -1100, "Illegal characters found.", Rejection.OTHER, CLEAR),
            (400, -1102, "Mandatory parameter was not sent.", Rejection.OTHER, CLEAR),
            (400, -1104, "Not all sent parameters were read.", Rejection.OTHER, CLEAR),
            (400, -1111, "Precision is over the maximum.", Rejection.FILTER, CLEAR),
            (400, -1116, "Invalid orderType.", Rejection.OTHER, CLEAR),
            (400, -1117, "Invalid side.", Rejection.OTHER, CLEAR),
            (400, -1121, "Invalid symbol.", Rejection.NOT_TRADING, CLEAR),
            (400, -1130, "Data sent is not valid.", Rejection.OTHER, CLEAR),
            (400, -2011, "Unknown order sent.", Rejection.UNKNOWN_ORDER, CLEAR),
            (400, -2013, "Order does not exist.", Rejection.UNKNOWN_ORDER, CLEAR),
            (401, -2014, "API-key format invalid.", Rejection.CREDENTIALS, CLEAR),
            (401, -2015, "Invalid API-key.", Rejection.CREDENTIALS, CLEAR),
            (400, -9999, "Not known yet.", Rejection.OTHER, CLEAR),
        )
    ),
    ("spot", 400, -1001, "Internal error.", Rejection.OTHER, UNKNOWN),
]


@pytest.mark.parametrize(("market", "status", "code", "said", "rejection", "unknown"), REFUSALS)
def test_a_refusal_is_classed_by_market_status_code_and_words(
    market: str, status: int, code: int | None, said: str, rejection: Rejection, unknown: bool
) -> None:
    where = listing(Kind(market))
    order = OrderRequest("deskmm1", where, "buy", Decimal(60000), Decimal("0.01"))
    request = CODEC.place(KEYS, order, 0, rest=True)
    assert isinstance(request, SignedRequest)
    body = said.encode()
    if code is not None:
        body = msgspec.json.encode({"code": code, "msg": said})
    told = CODEC.decode_answer(request, status, body)
    assert (told.accepted, told.rejection, told.unknown) == (False, rejection, unknown)
    assert said in told.text
    assert told.text.startswith(str(status if code is None else code))
    if code is not None:
        error = {"code": code, "msg": said}
        frame = msgspec.json.encode({"id": "deskmm1", "status": status, "error": error})
        (by_frame,) = CODEC.decode_account(f"{market}.trade", frame, {}, 7)
        assert isinstance(by_frame, OrderAnswer)
        assert (by_frame.rejection, by_frame.unknown, by_frame.text) == (
            rejection,
            unknown,
            told.text,
        )


def test_the_class_of_a_refusal_can_be_asked_for_without_its_market() -> None:
    said = CODEC.classify(400, b'{"code":-2013,"msg":"Order does not exist."}')
    assert said == (
        Rejection.UNKNOWN_ORDER,
        False,
        "-2013 Order does not exist. (no such order, or not yet where queries look)",
    )
    # In doubt about the market the outcome is in doubt.
    internal = b'{"code":-1001,"msg":"Internal error; unable to process your request."}'
    assert CODEC.classify(503, internal)[1]
