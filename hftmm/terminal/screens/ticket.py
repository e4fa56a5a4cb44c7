"""The order ticket: an order by hand, and the end of all orders of a venue."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from hftmm.desk.commands import CancelAll, Place
from hftmm.desk.handle import Desk
from hftmm.desk.snapshot import BestQuote, DeskSnapshot
from hftmm.terminal import format as fmt
from hftmm.terminal.screens.dialog import Choice, Conversation, Dialog, Entry, answered

_NUMBER = "0123456789."
_ORDER_SIZE = "market_making.order_size"
_DIFFERS = "nothing was sent again: change a field, or ^n for the same order once more"


class TicketScreen(Dialog[None]):
    """An order by hand; it stays for another one.

    Args:
        market: symbol, to begin with.
    """

    TITLE = "order ticket"
    HINT = "enter sends · ↑↓ field · ←→ choice · ^n again · C cancel all · escape"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "place", "send"),
        Binding("ctrl+n", "again", "again"),
        Binding("C", "cancel_all", "cancel all of the venue"),
        Binding("up", "app.focus_previous", "previous field"),
        Binding("down", "app.focus_next", "next field"),
    ]
    AUTO_FOCUS = "#price"

    def __init__(self, desk: Desk, market: str) -> None:
        super().__init__(desk)
        self._market = market
        self._proposed = ""
        self._talk = Conversation(desk)
        self._last: Place | None = None
        self._said = ""

    def fields(self) -> ComposeResult:
        snapshot = self.snapshot
        venues = [quote.venue for quote in snapshot.venues] if snapshot else []
        markets = [row.symbol for row in snapshot.markets] if snapshot else []
        best = _best(snapshot, self._market)
        first = best.bid_venues[0] if best and best.bid_venues else ""
        yield from _field("venue", Choice(venues, first, id="venue"))
        yield from _field("market", Choice(markets, self._market, id="market"))
        yield from _field("side", Choice(("buy", "sell"), id="side"))
        yield from _field("price", Entry(characters=_NUMBER, id="price"))
        yield from _field("size", Entry(_usual_size(snapshot), characters=_NUMBER, id="size"))
        yield from _field("type", Choice(("post-only", "gtc", "ioc"), id="type"))
        yield from _field("reduce only", Choice(("no", "yes"), id="reduce"))
        yield Static(id="meaning", markup=False)
        yield Static(id="wrong", markup=False)
        yield Static(id="answers", markup=False)

    def on_mount(self) -> None:
        self._propose()

    # What it says

    @property
    def order(self) -> Place:
        """The order as it stands in the fields."""
        return Place(
            venue=self._chosen("venue"),
            market=self._chosen("market"),
            side=self._chosen("side"),
            price=self.query_one("#price", Entry).value.strip(),
            size=self.query_one("#size", Entry).value.strip(),
            time_in_force=self._chosen("type"),
            reduce_only=self._chosen("reduce") == "yes",
        )

    def _chosen(self, name: str) -> str:
        return self.query_one(f"#{name}", Choice).value

    def paint(self, snapshot: DeskSnapshot | None) -> None:
        order = self.order
        best = _best(snapshot, order.market)
        self.write("price-note", _touch(best))
        self.write("venue-note", _venue(snapshot, order))
        self.write("size-note", _held(snapshot, order))
        self.write("meaning", _meaning(order))
        wrong = [*malformed(order), *_doubts(order, snapshot, best)]
        lines = [f"! {line}" for line in wrong] + ([self._said] if self._said else [])
        self.write("wrong", Content.styled("\n".join(lines), "$warning"))
        self.write("answers", answered(self._talk.heard(snapshot)))

    # What it does

    def action_place(self) -> None:
        """Sends the order, unless it cannot be one or was just sent."""
        order = self.order
        if any(True for _ in malformed(order)):
            self._said = "not sent"
        elif order == self._last:
            self._said = _DIFFERS
        else:
            self._talk.send(order)
            self._last = order
            self._said = f"sent: {_words(order)}"
        self.pull()

    def action_again(self) -> None:
        """Lets the same order be sent once more."""
        self._last, self._said = None, ""
        self.pull()

    def action_cancel_all(self) -> None:
        """Cancels every order of ours at the venue of the ticket."""
        venue = self._chosen("venue")
        self._talk.send(CancelAll(venue))
        self._said = f"sent: cancel all on {venue}"
        self.pull()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_place()

    def on_input_changed(self) -> None:
        self._said = ""
        self.pull()

    def on_choice_changed(self) -> None:
        self._said = ""
        self._propose()
        self.pull()

    def _propose(self) -> None:
        """Writes the price that is meant most often, unless another was typed."""
        entry = self.query_one("#price", Entry)
        if entry.value != self._proposed:
            return
        order, snapshot = self.order, self.snapshot
        best = _best(snapshot, order.market)
        if best is None or snapshot is None:
            return
        # A resting order joins its own side, one that takes crosses to the other.
        joins_bid = (order.side == "buy") != (order.time_in_force == "ioc")
        price = best.bid if joins_bid else best.ask
        on_view = order.market == snapshot.market
        places = snapshot.ladder.decimals if on_view else None
        self._proposed = _decimal_text(price, places)
        entry.value = self._proposed


def _field(name: str, field: Choice | Entry) -> ComposeResult:
    with Horizontal(classes="field"):
        yield Static(name, classes="name", markup=False)
        yield field
        yield Static(id=f"{field.id}-note", classes="note", markup=False)


def malformed(order: Place) -> Iterator[str]:
    """What keeps this from being an order at all, a line each."""
    if not order.venue or not order.market:
        yield "no venue and market yet: the engine has shown none"
    for name, text in (("price", order.price), ("size", order.size)):
        amount = _amount(text)
        if amount is None:
            yield f"{name}: {text!r} is not a number" if text else f"{name}: is missing"
        elif amount <= 0:
            yield f"{name}: {text} is not above 0"


def _doubts(order: Place, snapshot: DeskSnapshot | None, best: BestQuote | None) -> Iterator[str]:
    """Why the engine or the venue would refuse it as things stand, a line each."""
    if snapshot is None:
        return
    if not snapshot.trades:
        yield "this engine cannot trade"
    if snapshot.kill is not None:
        yield "killed: nothing leaves until it is re-armed"
    for row in snapshot.risk:
        if row.venue == order.venue and row.account:
            yield f"{row.venue}: {fmt.plain(row.account)}"
        if row.venue == order.venue and row.halted and not order.reduce_only:
            yield f"{row.venue} is halted, only reducing orders pass: {fmt.plain(row.halted)}"
    price = _amount(order.price)
    if price is None:
        return
    if order.market == snapshot.market:
        here = [quote for quote in snapshot.venues if quote.venue == order.venue]
        bid, ask = (here[0].bid, here[0].ask) if here else (None, None)
    else:
        bid, ask = (best.bid, best.ask) if best else (None, None)
    across = ask if order.side == "buy" else bid
    if across is None:
        return
    crosses = (
        price >= Decimal(repr(across)) if order.side == "buy" else price <= Decimal(repr(across))
    )
    other = f"the {'ask' if order.side == 'buy' else 'bid'} {_decimal_text(across, None)}"
    if crosses and order.time_in_force == "post-only":
        yield f"post-only would cross {other}: the venue would not take it"
    elif not crosses and order.time_in_force == "ioc":
        yield f"ioc does not reach {other}: nothing would fill"


def _meaning(order: Place) -> str:
    price, size = _amount(order.price), _amount(order.size)
    if price is None or size is None:
        return ""
    quote = order.market.partition("/")[2].partition(":")[0]
    return f"{_words(order)} = {price * size:,.2f} {quote}"


def _words(order: Place) -> str:
    reducing = " reduce-only" if order.reduce_only else ""
    return (
        f"{order.side} {order.size} {fmt.market_name(order.market)} at {order.price} "
        f"on {order.venue}, {order.time_in_force}{reducing}"
    )


def _best(snapshot: DeskSnapshot | None, market: str) -> BestQuote | None:
    if snapshot is None:
        return None
    if market == snapshot.market:
        return snapshot.nbbo
    return next((row.nbbo for row in snapshot.markets if row.symbol == market), None)


def _touch(best: BestQuote | None) -> str:
    return "" if best is None else f"nbbo {_pair(best.bid, best.ask)}"


def _venue(snapshot: DeskSnapshot | None, order: Place) -> str:
    """The state of its feed, and its own touch where that is of the market of the order."""
    for quote in snapshot.venues if snapshot else ():
        if quote.venue == order.venue and snapshot is not None:
            on_view = order.market == snapshot.market
            touch = f" {_pair(quote.bid, quote.ask)}" if on_view else ""
            return f"{quote.state}{touch} {fmt.plain(quote.reason)}".rstrip()
    return ""


def _pair(bid: float | None, ask: float | None) -> str:
    return f"{_decimal_text(bid, None) or '-'} │ {_decimal_text(ask, None) or '-'}"


def _held(snapshot: DeskSnapshot | None, order: Place) -> str:
    held = [
        row.size
        for row in (snapshot.positions if snapshot else ())
        if (row.venue, row.market) == (order.venue, order.market)
    ]
    return f"held {held[0]}" if held else ""


def _usual_size(snapshot: DeskSnapshot | None) -> str:
    parameters = snapshot.parameters if snapshot else ()
    return next((one.value.replace("_", "") for one in parameters if one.key == _ORDER_SIZE), "")


def _amount(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _decimal_text(price: float | None, places: int | None) -> str:
    if price is None:
        return ""
    return f"{price:.{places}f}" if places is not None else f"{Decimal(repr(price)):f}"
