"""Signatures of private requests: HMAC-SHA256 of a shared secret, and Ed25519.

Secrets are arguments and never leave these functions: not in a message, not in a traceback's
cause.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hftmm.core.errors import ConfigError

_PEM: Final = "-----BEGIN "


def is_private_key(secret: str) -> bool:
    """True if a secret is a private key in PEM, False if it is one shared with the venue."""
    return secret.lstrip().startswith(_PEM)


def hmac_hex(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 as 64 lower-case hex digits."""
    return hmac.digest(secret.encode(), payload, "sha256").hex()


def hmac_base64(secret: str, payload: bytes) -> str:
    """HMAC-SHA256 in base64, padded."""
    return b64encode(hmac.digest(secret.encode(), payload, "sha256")).decode()


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
