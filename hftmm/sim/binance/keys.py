"""API keys of the practice Binance, and the proof that a request comes from one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from hftmm.sim.binance.errors import INVALID_KEY, KEY_FORMAT, ApiError, illegal, missing
from hftmm.sim.ledger import Credentials

RECV_WINDOW_MS = 5_000
MOST_RECV_WINDOW_MS = 60_000
AHEAD_MS = 1_000
"""A timestamp this far ahead of the venue's clock, or farther, is refused."""

ED25519_SUFFIX: Final = "-ed25519"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key: what it may do, and the half of it that proves a signature."""

    name: str
    credentials: Credentials
    public: Ed25519PublicKey | None

    def may(self, permission: str) -> bool:
        return permission in self.credentials.permissions and self.credentials.ip_allowed

    def signed(self, payload: bytes, signature: str) -> bool:
        """True if the signature is this key's: hex of HMAC-SHA256, or base64 of Ed25519."""
        if self.public is None:
            secret = self.credentials.secret.encode()
            expected = hmac.new(secret, payload, hashlib.sha256).hexdigest()
            return hmac.compare_digest(expected.encode(), signature.lower().encode())
        try:
            self.public.verify(base64.b64decode(signature, validate=True), payload)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def ed25519_private_key(credentials: Credentials) -> Ed25519PrivateKey:
    """The private key that belongs to the Ed25519 twin of an HMAC key."""
    seed = hashlib.sha256(credentials.secret.encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def ed25519_pem(credentials: Credentials) -> str:
    """That private key as clients read it: PKCS#8 in PEM."""
    private = ed25519_private_key(credentials)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class KeyRing:
    """All keys of the venue.

    Every HMAC key `name` has a twin `name-ed25519` with the same rights.

    Args:
        credentials: by name; keys added there later count as well.
    """

    def __init__(self, credentials: Mapping[str, Credentials]) -> None:
        self._credentials = credentials
        self._public: dict[str, Ed25519PublicKey] = {}

    def find(self, name: str, permission: str) -> ApiKey:
        """The key of a request.

        Raises:
            ApiError: there is none, or it may not do this from here.
        """
        if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
            raise ApiError(*KEY_FORMAT)
        credentials = self._credentials.get(name.removesuffix(ED25519_SUFFIX))
        if credentials is None:
            raise ApiError(*INVALID_KEY)
        key = ApiKey(name, credentials, self._public_half(name, credentials))
        if not key.may(permission):
            raise ApiError(*INVALID_KEY)
        return key

    def _public_half(self, name: str, credentials: Credentials) -> Ed25519PublicKey | None:
        if not name.endswith(ED25519_SUFFIX):
            return None
        public = self._public.get(name)
        if public is None:
            public = self._public[name] = ed25519_private_key(credentials).public_key()
        return public


def check_time(params: Mapping[str, str], server_us: int) -> None:
    """Timestamp and recvWindow of a request against the venue's clock, in microseconds.

    Raises:
        ApiError: too old, too far ahead, or not numbers.
    """
    text = params.get("timestamp", "")
    if not text:
        raise missing("timestamp")
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise illegal("timestamp", "^[0-9]{1,20}$")
    # Sixteen digits are microseconds; thirteen, milliseconds.
    sent_us = int(text) if len(text) > 14 else int(text) * 1_000
    if sent_us >= server_us + AHEAD_MS * 1_000:
        reason = "Timestamp for this request was 1000ms ahead of the server's time."
        raise ApiError(400, -1021, reason)
    if server_us - sent_us > _window_us(params.get("recvWindow")):
        reason = "Timestamp for this request is outside of the recvWindow."
        raise ApiError(400, -1021, reason)


def _window_us(text: str | None) -> int:
    if text is None:
        return RECV_WINDOW_MS * 1_000
    whole, point, fraction = text.partition(".")
    legal = whole.isascii() and whole.isdecimal() and len(whole) <= 20
    if not legal or (point and not (fraction.isdecimal() and len(fraction) <= 3)):
        raise illegal("recvWindow", "^[0-9]{1,20}(\\.[0-9]{1,3})?$")
    window_us = int(whole) * 1_000 + int(fraction.ljust(3, "0"))
    if window_us > MOST_RECV_WINDOW_MS * 1_000:
        raise ApiError(400, -1131, "recvWindow must be less than 60000.")
    return window_us


def check_signature(key: ApiKey, payload: bytes, signature: str) -> None:
    """Raises ApiError if the signature is not the key's over exactly these bytes."""
    if not signature:
        raise missing("signature")
    if not key.signed(payload, signature):
        raise ApiError(400, -1022, "Signature for this request is not valid.")


def rest_payload(query: str, body: str) -> tuple[bytes, bool]:
    """The bytes a REST signature is over, and whether the signature came last.

    They are those received, still percent-encoded: a client that signs what it encodes only
    afterwards has signed something else.
    """
    parts = [part for text in (query, body) for part in text.split("&") if part]
    last = bool(parts) and parts[-1].startswith("signature=")
    kept = [
        "&".join(p for p in t.split("&") if not p.startswith("signature=")) for t in (query, body)
    ]
    return "".join(kept).encode(), last


def frame_payload(params: Mapping[str, str]) -> bytes:
    """The bytes a WebSocket API signature is over: parameters by name, not encoded at all."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={value}" for name, value in pairs).encode()
