"""The band under the header when the engine does not trade freely: what, where and why."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from hftmm.desk.snapshot import DeskSnapshot, KillRow, VenueKill
from hftmm.terminal import format as fmt
from hftmm.terminal.picture import Picture, hue
from hftmm.terminal.widgets.lines import Line, LineWidget

_HEAD = 10


class _Title(NamedTuple):
    """The first line: a state and what is to be said of it, on the state's own ground."""

    text: str
    role: str
    width: int


class _Detail(NamedTuple):
    """A line below: what it is about, and the text."""

    head: str
    head_role: str
    text: str
    role: str


class Alarm(LineWidget):
    """Shows itself while killed, halted, recovering or stopping; takes no room otherwise."""

    GROUND = "raised"
    SHOWS_ITSELF = True

    def paint(self, picture: Picture) -> None:
        """Draws what changed since the picture before."""
        width = self.screen.size.width
        rows = [] if picture.shown is None or width < 1 else list(_rows(picture, width))
        self.display = bool(rows)
        if rows:
            self.styles.height = len(rows)
            self.show(rows, picture.now_ns)

    def draw(self, row: Hashable) -> Line:
        match row:
            case _Title(text, role, width):
                return ((fmt.fit(f" {text}", width), f"bold badge on {role}"),)
            case _Detail(head, head_role, text, role):
                return (
                    (f" {fmt.fit(head, _HEAD)}", f"{head_role} on raised"),
                    (text, f"{role} on raised"),
                )
            case _:
                return ()


def progress(venue: VenueKill) -> str:
    """How a kill goes at a venue: cancels, whether it shows zero, what is held, what is wrong."""
    if venue.zero_ms is not None:
        verified = f"● zero at {venue.zero_ms:.0f} ms"
    elif venue.open is None:
        verified = "◌ NOT VERIFIED"
    else:
        verified = f"✕ NOT ZERO, {venue.open} open"
    parts = [f"sent {venue.sent}", f"acked {venue.acked}", verified]
    if venue.positions:
        parts.append(f"holds {venue.positions}")
    if venue.problem:
        parts.append(venue.problem)
    return fmt.plain(" · ".join(parts))


def _rows(picture: Picture, width: int) -> Iterator[_Title | _Detail]:
    snapshot = picture.shown
    if snapshot is None:
        return
    role = "danger" if snapshot.state == "KILLED" else "warning"
    if snapshot.kill is not None:
        stopping = snapshot.state == "STOPPING"
        yield _Title(_headline(snapshot.kill, picture.now_ns, stopping=stopping), role, width)
        yield from _killed(snapshot.kill, width, stopping=stopping)
    elif snapshot.state == "HALTED":
        halted = [row for row in snapshot.risk if row.halted]
        yield _Title(f"■ HALTED  only reducing orders pass: {_named(snapshot)}", role, width)
        for row in halted:
            yield from _wrapped(row.venue, f"{row.halted} · x resumes it", "bright", width)
    elif snapshot.state in {"KILLED", "RECOVERING", "STOPPING"}:
        sign = "✕" if snapshot.state == "KILLED" else "◐"
        yield _Title(f"{sign} {snapshot.state}  {fmt.plain(snapshot.state_reason)}", role, width)
        for venue, difference in snapshot.differences:
            said = difference.removeprefix(f"{venue} ")
            yield from _wrapped(venue, f"{said} · ^p accept {venue}", "bright", width)


def _headline(kill: KillRow, now_ns: int, *, stopping: bool) -> str:
    reason = fmt.plain(kill.reason)
    if stopping:
        return f"◐ STOPPING  {reason}"
    ago = fmt.age(max(0, now_ns - kill.ns) / 1e6)
    return f"✕ KILLED ✕  {reason} · {fmt.clock(kill.ns)}, {ago} ago · nothing leaves until re-armed"


def _killed(kill: KillRow, width: int, *, stopping: bool) -> Iterator[_Detail]:
    for venue in kill.venues:
        sound = venue.zero_ms is not None and not venue.problem
        role = "bright" if sound else "bold danger"
        yield from _wrapped(venue.venue, progress(venue), role, width)
    if kill.flattening:
        yield from _wrapped("flatten", kill.flattening, "bright", width)
    if kill.rearm and not stopping:
        yield from _wrapped("re-arm", kill.rearm, "plain", width)


def _wrapped(head: str, text: str, role: str, width: int) -> Iterator[_Detail]:
    head_role = "dim" if head in {"flatten", "re-arm"} else f"bold {hue(head)}"
    for i, line in enumerate(fmt.wrap(fmt.plain(text), max(20, width - _HEAD - 2))):
        yield _Detail("" if i else fmt.plain(head), head_role, line, role)


def _named(snapshot: DeskSnapshot) -> str:
    names = ", ".join(fmt.plain(row.venue) for row in snapshot.risk if row.halted)
    return names or fmt.plain(snapshot.state_reason)
