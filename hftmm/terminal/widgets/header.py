"""The header: what runs, on what, how well, and when."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture
from hftmm.terminal.widgets.lines import Line, LineWidget, Span, width_of

_MODES = {
    "sim": (" SIM ", "badge on accent"),
    "replay": (" REPLAY ", "badge on accent"),
    "paper": (" PAPER ", "badge on accent"),
    "demo": (" DEMO ", "badge on accent"),
    "live": (" ▲ LIVE: REAL MONEY ▲ ", "bold badge on danger"),
}
_STATES = {
    "STARTING": ("◐", "warning"),
    "ARMED": ("●", "good"),
    "HALTED": ("■", "warning"),
    "KILLED": ("✕", "danger"),
    "RECOVERING": ("◐", "warning"),
    "FINISHED": ("■", "accent"),
    "STOPPING": ("◐", "warning"),
    "DISCONNECTED": ("✕", "danger"),
}
_NS = 1_000_000_000


class _Header(NamedTuple):
    parts: tuple[Line, ...]
    right: Line
    width: int


class Header(LineWidget):
    """One line; parts without room go from the right, never mode, market, state and clock."""

    GROUND = "raised"

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        row = _Header(tuple(_parts(picture)), _right(picture), self.size.width)
        self.show([row], picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        if not isinstance(row, _Header):
            return ()
        spans: list[Span] = [(" hftmm ", "bold bright")]
        right = row.right
        room = row.width - width_of(right)
        if width_of([*spans, *(span for part in row.parts[:2] for span in part)]) > room:
            spans = []
        for part in row.parts:
            if width_of(spans) + width_of(part) > room:
                break
            spans += part
        fill = max(0, row.width - width_of(spans) - width_of(right))
        grounded = [*spans, (" " * fill, "plain"), *right]
        return tuple(
            (text, role if " on " in role else _on_header(role)) for text, role in grounded
        )


def _on_header(role: str) -> str:
    front, at, action = role.partition(" @")
    return f"{front} on raised{at}{action}"


def _parts(picture: Picture) -> list[Line]:
    snapshot = picture.shown
    parts: list[Line] = []
    if snapshot is not None:
        other = (f" {fmt.plain(snapshot.mode).upper()} ", "badge on accent")
        parts.append((_MODES.get(snapshot.mode, other),))
        market = f"  {fmt.plain(snapshot.market)} ▾ "
        parts.append(((market, "bold bright @screen.markets"),))
    if picture.frozen_ns is not None:
        seconds = picture.frozen_ns // _NS
        held = fmt.age(seconds * 1e3) if seconds >= 10 else f"{seconds}s"
        parts.append(((f" ❚❚ FROZEN {held} ", "bold badge on warning"), (" ", "plain")))
    if picture.silent_ns and picture.connected:
        silent = picture.silent_ns // 100_000_000 / 10
        parts.append(((f" engine silent {silent:.1f} s ", "bold badge on warning"), (" ", "plain")))
    if snapshot is None:
        return parts
    if snapshot.state_reason and snapshot.state != "ARMED":
        parts.append(((f" {fmt.plain(snapshot.state_reason)} ", "warning"),))
    if snapshot.equity is not None:
        parts.append((("  equity ", "dim"), (f"{snapshot.equity:,.2f}", "bright")))
    if snapshot.day_pnl is not None:
        role = "good" if snapshot.day_pnl > 0 else "danger" if snapshot.day_pnl < 0 else "bright"
        parts.append((("  day ", "dim"), (fmt.signed(snapshot.day_pnl), f"bold {role}")))
    if snapshot.mode == "replay":
        return parts  # a recording says nothing of the speed of this engine
    latency = snapshot.latency
    parts.append(_times("wire▸nbbo", latency.wire_to_nbbo_p50_us, latency.wire_to_nbbo_p99_us))
    if snapshot.trades:
        times = (latency.tick_to_order_p50_us, latency.tick_to_order_p99_us)
        # Where there is room for one of the two, it is the one that an order had to wait for.
        parts.insert(len(parts) - 1, _times("tick▸order", *times))
    if latency.loop_lag_ms is not None:
        parts.append((("  lag ", "dim"), (f"{latency.loop_lag_ms:.1f}ms", "bright")))
    parts.append((("  frames ", "dim"), (f"{fmt.rate(snapshot.frames_per_s)}/s", "bright")))
    return parts


def _times(name: str, p50_us: float | None, p99_us: float | None) -> Line:
    return (
        (f"  {name} ", "dim"),
        (fmt.micros(p50_us), "bright"),
        (" p99 ", "dim"),
        (fmt.micros(p99_us), "bright"),
    )


def _right(picture: Picture) -> Line:
    state = picture.state
    sign, role = _STATES.get(state, ("?", "warning"))
    snapshot = picture.shown
    # A replay's time is its recording's.
    replayed = snapshot is not None and snapshot.mode == "replay"
    ns = snapshot.ns if snapshot is not None and replayed else picture.now_ns
    return (
        (f" {sign} {fmt.plain(state)} ", f"bold badge on {role}"),
        (f"  {fmt.clock(ns)} ", "dim"),
    )
