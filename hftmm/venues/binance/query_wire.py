"""Answers of Binance's private queries as structs; fields we do not use are left out."""

from __future__ import annotations

import msgspec


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """An order of either market; only USD-M's have a position side."""

    symbol: str
    orderId: int  # noqa: N815 - the venue's name
    clientOrderId: str  # noqa: N815 - the venue's name
    price: str
    origQty: str  # noqa: N815 - the venue's name
    executedQty: str  # noqa: N815 - the venue's name
    status: str
    side: str
    timeInForce: str = ""  # noqa: N815 - the venue's name
    updateTime: int = 0  # noqa: N815 - the venue's name
    cummulativeQuoteQty: str = ""  # noqa: N815 - the venue's spelling
    avgPrice: str = ""  # noqa: N815 - the venue's name
    expiryReason: str = ""  # noqa: N815 - the venue's name
    positionSide: str | None = None  # noqa: N815 - the venue's name


class TradeRow(msgspec.Struct, frozen=True, gc=False):
    """A fill of either market; spot says `isBuyer`, USD-M `side`. None has our id."""

    symbol: str
    id: int
    orderId: int  # noqa: N815 - the venue's name
    price: str
    qty: str
    commission: str
    commissionAsset: str  # noqa: N815 - the venue's name
    time: int
    side: str = ""
    maker: bool = False
    isBuyer: bool | None = None  # noqa: N815 - the venue's name
    isMaker: bool = False  # noqa: N815 - the venue's name


class IncomeRow(msgspec.Struct, frozen=True, gc=False):
    """A line of the income history of USD-M."""

    symbol: str
    income: str
    asset: str
    time: int


class PositionRow(msgspec.Struct, frozen=True, gc=False):
    symbol: str
    positionAmt: str  # noqa: N815 - the venue's name
    entryPrice: str = ""  # noqa: N815 - the venue's name
    unRealizedProfit: str = ""  # noqa: N815 - the venue's name
    updateTime: int = 0  # noqa: N815 - the venue's name


class SpotBalanceRow(msgspec.Struct, frozen=True, gc=False):
    asset: str
    free: str
    locked: str


class SpotAccount(msgspec.Struct, frozen=True, gc=False):
    balances: list[SpotBalanceRow]
    updateTime: int = 0  # noqa: N815 - the venue's name
    canTrade: bool = True  # noqa: N815 - the venue's name


class LinearBalanceRow(msgspec.Struct, frozen=True, gc=False):
    asset: str
    balance: str
    availableBalance: str  # noqa: N815 - the venue's name
    updateTime: int = 0  # noqa: N815 - the venue's name


class Rates(msgspec.Struct, frozen=True, gc=False):
    """Fractions of notional: one of maker and taker, plus one of buyer and seller."""

    maker: str = "0"
    taker: str = "0"
    buyer: str = "0"
    seller: str = "0"


class SpotCommission(msgspec.Struct, frozen=True, gc=False):
    standardCommission: Rates  # noqa: N815 - the venue's name
    specialCommission: Rates = Rates()  # noqa: N815 - the venue's name
    taxCommission: Rates = Rates()  # noqa: N815 - the venue's name


class LinearCommission(msgspec.Struct, frozen=True, gc=False):
    makerCommissionRate: str  # noqa: N815 - the venue's name
    takerCommissionRate: str  # noqa: N815 - the venue's name


class Restrictions(msgspec.Struct, frozen=True, gc=False):
    """What a key may do."""

    enableReading: bool = False  # noqa: N815 - the venue's name
    enableSpotAndMarginTrading: bool = False  # noqa: N815 - the venue's name
    enableFutures: bool = False  # noqa: N815 - the venue's name
    enableWithdrawals: bool = False  # noqa: N815 - the venue's name
    enableInternalTransfer: bool = False  # noqa: N815 - the venue's name
    permitsUniversalTransfer: bool = False  # noqa: N815 - the venue's name
    ipRestrict: bool = True  # noqa: N815 - the venue's name


class AccountConfig(msgspec.Struct, frozen=True, gc=False):
    """Of the USD-M account."""

    canTrade: bool  # noqa: N815 - the venue's name
    dualSidePosition: bool  # noqa: N815 - the venue's name


class ListenKey(msgspec.Struct, frozen=True, gc=False):
    listenKey: str = ""  # noqa: N815 - the venue's name


decode_order_row = msgspec.json.Decoder(OrderRow).decode
decode_order_rows = msgspec.json.Decoder(list[OrderRow]).decode
decode_trade_rows = msgspec.json.Decoder(list[TradeRow]).decode
decode_income_rows = msgspec.json.Decoder(list[IncomeRow]).decode
decode_position_rows = msgspec.json.Decoder(list[PositionRow]).decode
decode_spot_account = msgspec.json.Decoder(SpotAccount).decode
decode_linear_balances = msgspec.json.Decoder(list[LinearBalanceRow]).decode
decode_spot_commission = msgspec.json.Decoder(SpotCommission).decode
decode_linear_commission = msgspec.json.Decoder(LinearCommission).decode
decode_restrictions = msgspec.json.Decoder(Restrictions).decode
decode_account_config = msgspec.json.Decoder(AccountConfig).decode
decode_listen_key = msgspec.json.Decoder(ListenKey).decode
