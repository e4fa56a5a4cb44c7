"""One stream of anything but depth: best quotes, trades, mark prices."""

from __future__ import annotations

from collections.abc import Mapping

from hftmm.core.events import MarkPrice, TopOfBook, Trade
from hftmm.venues.codec import Feed, VenueCodec
from hftmm.venues.depth import DepthFeed
from hftmm.venues.effects import MarketSink


class MarketFeed:
    """Decodes the frames of one feed on one connection, and passes on what they say.

    Muted, its frames only show that the connection delivers: the one it is going to replace has
    delivered the same trades.
    """

    __slots__ = ("_codec", "_depths", "_feed", "_muted", "_sink", "depth")

    def __init__(
        self,
        feed: Feed,
        codec: VenueCodec,
        depths: Mapping[str, DepthFeed],
        sink: MarketSink,
        muted: bool,
    ) -> None:
        """
        Args:
            depths: by listing key, whose books take the quotes.
        """
        self.depth = None
        self._feed = feed
        self._codec = codec
        self._depths = depths
        self._sink = sink
        self._muted = muted

    def received(self, frame: bytes, now_ns: int) -> int:
        """Takes one frame; returns 0, since no book is lost by it.

        Raises:
            MalformedFrame: it cannot be decoded.
        """
        if self._muted:
            return 0
        for event in self._codec.decode_market(self._feed, frame, now_ns):
            match event:
                case TopOfBook():
                    depth = self._depths.get(event.listing.key)
                    if depth is not None and depth.book.quote(event):
                        self._sink.book_moved(depth.book, now_ns)
                case Trade():
                    self._sink.traded(event)
                case MarkPrice():
                    self._sink.marked(event)
                case _:
                    pass
        return 0
