"""Signatures of private requests: HMAC-SHA256 of a shared secret, and Ed25519.

Secrets are arguments and never leave these functions: not in a message, not in a traceback's
cause.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hftmm.core.errors import ConfigError

_PEM: Final = "-----BEGIN "
_BLOCK: Final = 64
"""Bytes that SHA-256 reads at a time."""


def is_private_key(secret: str) -> bool:
    """True if a secret is a private key in PEM, False if it is one shared with the venue."""
    return secret.lstrip().startswith(_PEM)


def hmac_hex(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 as 64 lower-case hex digits."""
    return _hmac(secret, payload).hex()


def hmac_base64(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 in base64, padded."""
    return b64encode(_hmac(secret, payload)).decode()


def ed25519_base64(secret: str, payload: bytes) -> str:
    """Ed25519 (RFC 8032) in base64, padded.

    Args:
        secret: private key in PEM, PKCS#8; line breaks may be written `\\n`, as in environment
            files.

    Raises:
        ConfigError: it is no Ed25519 key without a password.
    """
    return b64encode(_load(secret).sign(payload)).decode()


# Reading a key takes longer than signing with it; there is one a venue.
@lru_cache(maxsize=8)
def _load(secret: str) -> Ed25519PrivateKey:
    pem = secret.strip().replace("\\n", "\n").encode()
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        # The cause might quote the key.
        raise ConfigError(
            "the secret is not a readable private key: give an Ed25519 key in PEM, PKCS#8, "
            "without a password"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError("the secret is a private key of another kind: make an Ed25519 key")
    return key


def _hmac(secret: str, payload: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104). `hmac.digest` lets go of the interpreter however short the payload
    is, and another thread keeps it for longer than the signature takes.
    """
    inner, outer = _states(secret)
    inner, outer = inner.copy(), outer.copy()
    inner.update(payload)
    outer.update(inner.digest())
    return outer.digest()


# One a venue, and a few more where keys are tried.
@lru_cache(maxsize=16)
def _states(secret: str) -> tuple[hashlib._Hash, hashlib._Hash]:
    """SHA-256 once it has read a secret's inner and its outer block."""
    key = secret.encode()
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    key = key.ljust(_BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)
