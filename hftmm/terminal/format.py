"""Numbers, times and foreign text as the terminal writes them.

Prices keep every decimal of the market's grid; sizes shorten. A number that does not exist is
blank, never 0. Functions ending in `_cell` fill a column of the given width exactly.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

_NS = 1_000_000_000
_FRACTION = 3  # decimals the size columns leave room for, so that their points stand in one line


def price(x: float | None, decimals: int) -> str:
    """65000.5 with one decimal; never shortened."""
    return "" if x is None else f"{x:.{decimals}f}"


def size(x: float | None) -> str:
    """Base coins in at most six characters before a sign: 0.041, 1.20, 123.40, 1.2k, 12.3M."""
    if x is None:
        return ""
    amount = abs(x)
    if amount >= 999_950:
        return f"{x / 1e6:.1f}M" if amount < 999_950_000 else f"{x / 1e9:.1f}G"
    if amount >= 999.995:
        return f"{x / 1e3:.1f}k"
    if amount >= 0.0995:
        return f"{x:.2f}"
    if amount >= 0.0005 or amount == 0:
        return f"{x:.3f}"
    return "<.001" if x > 0 else ">-.001"


def size_cell(x: float | None, width: int) -> str:
    """A size, right-aligned so that the decimal points of a column stand in one line."""
    if x is None:
        return " " * width
    text = size(x)
    point = text.find(".")
    room = _FRACTION - (len(text) - point - 1) if point >= 0 else 0
    return (text + " " * room).rjust(width)[-width:] if width else ""


def signed(x: float | None, places: int = 2) -> str:
    """+131.41, -0.40, 0.00: the sign says what colour repeats, and nothing has none."""
    if x is None:
        return ""
    text = f"{x:+,.{places}f}"
    return text[1:] if float(text.replace(",", "")) == 0 else text


def bps(x: float | None, places: int = 1) -> str:
    """Basis points with their sign, no unit."""
    return signed(x, places)


def percent(x: float) -> str:
    """A fraction as whole percent."""
    return f"{x * 100:.0f}%"


def age(ms: float | None) -> str:
    """A span of time in at most five characters: 4ms, 1.2s, 34s, 5m, 2h, 3d."""
    if ms is None:
        return ""
    if ms < 999.5:
        return f"{ms:.0f}ms"
    seconds = ms / 1_000
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 99.5:
        return f"{seconds:.0f}s"
    if seconds < 5_970:
        return f"{seconds / 60:.0f}m"
    if seconds < 356_400:
        return f"{seconds / 3_600:.0f}h"
    return f"{seconds / 86_400:.0f}d"


def micros(us: float | None) -> str:
    """A latency in at most five characters: 7.8µs, 61µs, 2.4ms, 1.1s."""
    if us is None:
        return "-"
    if us < 9.95:
        return f"{us:.1f}µs"
    if us < 999.5:
        return f"{us:.0f}µs"
    if us < 9_950:
        return f"{us / 1e3:.1f}ms"
    return age(us / 1e3)


def rate(per_s: float | None) -> str:
    """Events a second in at most five characters: 0.4, 48, 12.3k."""
    if per_s is None:
        return ""
    if per_s >= 9_950:
        return f"{per_s / 1e3:.1f}k"
    return f"{per_s:.0f}" if per_s >= 9.95 or per_s == 0 else f"{per_s:.1f}"


def clock(ns: int) -> str:
    """UTC time of day, seconds: 12:30:01Z."""
    return datetime.fromtimestamp(ns // _NS, UTC).strftime("%H:%M:%SZ")


def clock_ms(ns: int) -> str:
    """UTC time of day, milliseconds: 12:30:01.412."""
    seconds, rest = divmod(ns, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest // 1_000_000:03d}"


def until(ns: int | None, now_ns: int) -> str:
    """Time left to a moment: 3h12m, 12m, 40s; blank once it has passed."""
    if ns is None or ns <= now_ns:
        return ""
    minutes, seconds = divmod((ns - now_ns) // _NS, 60)
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def market_name(symbol: str) -> str:
    """BTC/USDT:USDT as `BTC perp`, BTC/USDT as `BTC spot`: for columns too narrow for symbols."""
    return f"{symbol.partition('/')[0]} {'perp' if ':' in symbol else 'spot'}"


def plain(text: str) -> str:
    """Foreign text made safe to show: one line, every character visible and of known width.

    Control characters become their pictures (an escape sequence is seen, not obeyed); format,
    combining and unassigned characters become U+FFFD, because terminals disagree on their width
    and some of them reorder what stands beside them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, unicodedata.normalize("NFC", text)))


def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    category = unicodedata.category(char)
    if category[0] == "C" or category in {"Mn", "Me", "Zl", "Zp"}:
        return "\ufffd"
    return char


def fit(text: str, width: int) -> str:
    """Left-aligned in exactly `width` cells; what does not fit ends in an ellipsis."""
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    return set_cell_size(text, width - 1) + "…"


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces where there are any; at least one line."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        rest = word
        while rest:
            joined = f"{line} {rest}" if line else rest
            if cell_len(joined) <= width:
                line, rest = joined, ""
            elif line and cell_len(rest) <= width:
                lines.append(line)
                line, rest = rest, ""
            elif line:
                lines.append(line)
                line = ""
            else:
                head = _head(rest, width)
                lines.append(head)
                rest = rest[len(head) :]
    return [*lines, line] if line or not lines else lines


def _head(text: str, width: int) -> str:
    """The longest beginning of at most `width` cells, and one character at the very least."""
    cells = 0
    for i, char in enumerate(text):
        cells += cell_len(char)
        if cells > width:
            return text[: max(1, i)]
    return text
