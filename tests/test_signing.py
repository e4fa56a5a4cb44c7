"""Signatures, by the vectors that standards and venues publish."""

from __future__ import annotations

import base64
import hashlib
import hmac
import traceback

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from hftmm.core.errors import ConfigError
from hftmm.venues.signing import ed25519_base64, hmac_base64, hmac_hex, is_private_key

# RFC 4231, test case 2.
RFC_4231 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
# RFC 8032, section 7.1, test 2.
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
RFC_8032 = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def pem(encryption: KeySerializationEncryption | None = None) -> str:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED))
    how = encryption or NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


@pytest.mark.parametrize("length", [1, 63, 64, 65, 200])
def test_hmac_takes_secrets_of_any_length(length: int) -> None:
    secret = "ü" * length
    expected = hmac.new(secret.encode(), b"payload", hashlib.sha256).hexdigest()
    assert hmac_hex(secret, b"payload") == expected


def test_hmac_in_hex_is_that_of_the_standard() -> None:
    assert hmac_hex("Jefe", b"what do ya want for nothing?") == RFC_4231


def test_hmac_in_base64_is_the_same_number() -> None:
    signed = hmac_base64("Jefe", b"what do ya want for nothing?")
    assert base64.b64decode(signed).hex() == RFC_4231


def test_ed25519_is_that_of_the_standard() -> None:
    assert base64.b64decode(ed25519_base64(pem(), b"\x72")).hex() == RFC_8032


def test_a_key_may_stand_on_one_line_as_in_environment_files() -> None:
    line = pem().strip().replace("\n", "\\n")
    assert "\n" not in line
    assert ed25519_base64(line, b"\x72") == ed25519_base64(pem(), b"\x72")


def test_a_private_key_is_told_from_a_shared_secret() -> None:
    assert is_private_key(pem())
    assert is_private_key("\n" + pem())
    assert not is_private_key("a" * 64)


def other_kind() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "not a readable"),
        (pem(BestAvailableEncryption(b"password")), "without a password"),
        (other_kind(), "make an Ed25519 key"),
    ],
    ids=["garbled", "encrypted", "another kind"],
)
def test_a_key_that_cannot_be_used_is_one_line_that_does_not_quote_it(
    secret: str, words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        ed25519_base64(secret, b"x")
    assert words in str(raised.value)
    told = "".join(traceback.format_exception(raised.value))
    body = secret.splitlines()[1]
    assert body not in told
    assert raised.value.__cause__ is None
