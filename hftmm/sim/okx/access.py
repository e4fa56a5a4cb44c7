"""Who calls: REST signatures and WebSocket logins, verified as OKX verifies them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from hftmm.sim.ledger import Credentials
from hftmm.sim.okx.refusal import Refusal
from hftmm.sim.peers import HttpQuery
from hftmm.venues.codec import SECOND

TOLERANCE_NS = 30 * SECOND
LOGIN_PATH = "/users/self/verify"

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_SECONDS = re.compile(r"\d{10}(\.\d{1,3})?")
_HEADERS = (
    ("ok-access-key", "50103", "OK-ACCESS-KEY"),
    ("ok-access-passphrase", "50104", "OK-ACCESS-PASSPHRASE"),
    ("ok-access-sign", "50106", "OK-ACCESS-SIGN"),
    ("ok-access-timestamp", "50107", "OK-ACCESS-TIMESTAMP"),
)


class Gate:
    """Knows the keys of one environment of the venue, production or demo.

    Args:
        demo: keys belong to demo trading and need its header; production's must not have it.
        unknown_key_status: HTTP status of an answer to a key that does not exist; OKX documents
            200 and is seen to send 401.
    """

    def __init__(
        self, keys: Mapping[str, Credentials], *, demo: bool, unknown_key_status: int
    ) -> None:
        self._keys = keys
        self._demo = demo
        self._unknown_key_status = unknown_key_status

    def caller(self, query: HttpQuery, now_ns: int) -> Credentials:
        """Whose request it is.

        Args:
            now_ns: by the venue's clock.

        Raises:
            Refusal: with the code of the first thing that is wrong.
        """
        headers = {name.lower(): value for name, value in query.headers.items()}
        for name, code, shown in _HEADERS:
            if not headers.get(name):
                raise _denied(code, f'Request header "{shown}" can\'t be empty.')
        stamp = headers["ok-access-timestamp"]
        if not _ISO.fullmatch(stamp):
            raise _denied("50112", 'Invalid "OK-ACCESS-TIMESTAMP"')
        if abs(_nanoseconds(stamp) - now_ns) > TOLERANCE_NS:
            raise _denied("50102", "Timestamp request expired")
        credentials = self._keys.get(headers["ok-access-key"])
        if credentials is None:
            raise Refusal("50119", "API key doesn't exist", status=self._unknown_key_status)
        if (headers.get("x-simulated-trading") == "1") is not self._demo:
            raise _denied("50101", "APIKey does not match current environment.")
        if not credentials.ip_allowed:
            raise _denied(
                "50110", "Your IP 127.0.0.1 is not included in your API key's IP whitelist."
            )
        if not _same(credentials.passphrase, headers["ok-access-passphrase"]):
            raise _denied("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')
        target = f"{query.path}?{query.query}" if query.query else query.path
        prehash = f"{stamp}{query.method}{target}".encode() + query.body
        if not _same(_signature(credentials.secret, prehash), headers["ok-access-sign"]):
            raise _denied("50113", "Invalid Sign")
        return credentials

    def member(self, claim: Mapping[str, object], now_ns: int) -> Credentials:
        """Who logs in on a WebSocket.

        Args:
            claim: one element of `args`: apiKey, passphrase, timestamp in seconds, sign.

        Raises:
            Refusal: with the code of the first thing that is wrong.
        """
        key, passphrase, stamp, sign = (
            str(claim.get(name, "")) for name in ("apiKey", "passphrase", "timestamp", "sign")
        )
        if not key:
            raise Refusal("60005", "Invalid apiKey")
        if not stamp or not _SECONDS.fullmatch(stamp):
            # Milliseconds, as REST's own clock writes them, are no login stamp.
            code = "60006" if stamp.isdigit() else "60004"
            text = "Timestamp request expired" if stamp.isdigit() else "Invalid timestamp"
            raise Refusal(code, text)
        if abs(float(stamp) - now_ns / SECOND) > TOLERANCE_NS / SECOND:
            raise Refusal("60006", "Timestamp request expired")
        credentials = self._keys.get(key)
        if credentials is None:
            raise Refusal("60032", "API key doesn't exist")
        if not credentials.ip_allowed:
            raise Refusal("60009", "Login failed. Your IP is not in your API key's IP whitelist.")
        if not _same(credentials.passphrase, passphrase):
            raise Refusal("60024", "Wrong passphrase")
        if not _same(_signature(credentials.secret, f"{stamp}GET{LOGIN_PATH}".encode()), sign):
            raise Refusal("60007", "Invalid sign")
        return credentials


def _signature(secret: str, prehash: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), prehash, hashlib.sha256)).decode()


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode())


def _nanoseconds(stamp: str) -> int:
    """An ISO stamp that has the right shape; one that names no time is ages ago."""
    try:
        moment = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return 0
    return int(moment.timestamp() * 1000) * 1_000_000


def _denied(code: str, message: str) -> Refusal:
    return Refusal(code, message, status=401)
