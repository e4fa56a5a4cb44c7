"""Who speaks to the practice Bybit: signatures of requests and logins, clock and permissions."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from hftmm.sim.bybit.answers import Refused
from hftmm.sim.ledger import Credentials
from hftmm.sim.peers import HttpQuery

RECV_WINDOW_MS = 5_000
"""How old a request may be if it does not say."""
AHEAD_MS = 1_000
"""A stamp this far in the future is refused, whatever the window."""

_WRONG_KEY = "API key is invalid."
_WRONG_SIGNATURE = "Error sign, please check your signature generation algorithm."


class Keyring:
    """The keys the venue knows."""

    def __init__(self, credentials: Mapping[str, Credentials]) -> None:
        """By key; the venue may learn more while it runs."""
        self._known = credentials

    def request(self, query: HttpQuery, stamp_ms: int) -> Credentials:
        """Whose request it is.

        The signature is over the query string and the body exactly as received.

        Raises:
            Refused: headers missing or wrong, or the venue's clock is elsewhere.
        """
        headers = {name.lower(): text for name, text in query.headers.items()}
        names = ("x-bapi-api-key", "x-bapi-timestamp", "x-bapi-sign")
        key, stamp, signature = (headers.get(name, "") for name in names)
        if not (key and stamp and signature):
            raise Refused(10001, "Request parameter error.", status=401)
        window = headers.get("x-bapi-recv-window", "")
        payload = _bytes(query.query) if query.method == "GET" else query.body
        known = self._known.get(key)
        if known is None:
            raise Refused(10003, _WRONG_KEY)
        admit(known)
        in_time(stamp, window, stamp_ms)
        if not _genuine(known, _bytes(f"{stamp}{key}{window}") + payload, signature):
            raise Refused(10004, _WRONG_SIGNATURE)
        return known

    def login(self, args: object, stamp_ms: int) -> Credentials:
        """Whose login it is: key, end of validity in ms, signature of `GET/realtime` and the end.

        Raises:
            Refused: 10003 the key is unknown, 10010 it may not come from here, 10001 the login is
                malformed or no longer valid, 10004 the signature is wrong.
        """
        if not isinstance(args, list) or len(args) != 3:
            raise Refused(10001, "Params Error")
        key, end, signature = (str(one) for one in args)
        if not _integer(end) or int(end) <= stamp_ms:
            raise Refused(10001, "Params Error")
        known = self._known.get(key)
        if known is None:
            raise Refused(10003, _WRONG_KEY)
        admit(known)
        if not _genuine(known, f"GET/realtime{end}".encode(), signature):
            raise Refused(10004, _WRONG_SIGNATURE)
        return known


def admit(known: Credentials) -> None:
    """Raises Refused if the key may not be used from this address."""
    if not known.ip_allowed:
        raise Refused(10010, "Unmatched IP, please check your API key's bound IP addresses.")


def may_trade(known: Credentials) -> None:
    """Raises Refused if the key can only read."""
    if "trade" not in known.permissions:
        raise Refused(10005, "Permission denied, please check your API key permissions.")


def in_time(stamp: str, window: str, stamp_ms: int) -> None:
    """Raises Refused unless the request is younger than its window and not of the future."""
    window = window or str(RECV_WINDOW_MS)
    if not (_integer(stamp) and _integer(window)):
        raise Refused(10001, "Request parameter error.")
    if not stamp_ms - int(window) <= int(stamp) < stamp_ms + AHEAD_MS:
        raise Refused(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{stamp_ms}],recv_window[{window}]",
        )


def stamps(header: object) -> tuple[str, str]:
    """Time and window in the header of an order frame, as strings or numbers."""
    if not isinstance(header, Mapping):
        return "", ""
    stamp, window = header.get("X-BAPI-TIMESTAMP", ""), header.get("X-BAPI-RECV-WINDOW", "")
    return str(stamp), str(window)


def _integer(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _genuine(known: Credentials, signed: bytes, signature: str) -> bool:
    right = hmac.new(known.secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), _bytes(signature))


def _bytes(text: str) -> bytes:
    """What a client sent: bytes that are no text are kept by the server as surrogates."""
    return text.encode(errors="surrogateescape")
