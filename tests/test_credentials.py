"""Where keys come from, and what is said of one that cannot be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hftmm.assembly.credentials import credentials, credentials_in, system_keyring, variables
from hftmm.assembly.practice import Practice, described
from hftmm.core.errors import ConfigError
from hftmm.sim.binance.keys import ed25519_pem
from hftmm.sim.ledger import DEMO
from hftmm.venues.private import Credentials
from hftmm.venues.signing import ed25519_base64

BINANCE = {"HFTMM_BINANCE_KEY": "binance-key", "HFTMM_BINANCE_SECRET": "binance-secret"}
OKX = {
    "HFTMM_OKX_KEY": "okx-key",
    "HFTMM_OKX_SECRET": "okx-secret",
    "HFTMM_OKX_PASSPHRASE": "okx phrase!",
}
PEM = ed25519_pem(DEMO)
RSA = "-----BEGIN PRIVATE KEY-----\nMIIBVQ==\n-----END PRIVATE KEY-----"


def nothing(name: str) -> str | None:
    """A keyring without keys."""
    return None


def of(venue: str, environ: dict[str, str], *, demo: bool = False) -> Credentials | None:
    return credentials(venue, environ, demo=demo, keyring=nothing)


def refused(venue: str, **environ: str) -> str:
    """Why the key of an environment cannot be."""
    with pytest.raises(ConfigError) as raised:
        of(venue, environ)
    said = str(raised.value)
    assert "\n" not in said
    assert not any(value in said for name, value in environ.items() if not name.endswith("FILE"))
    return said


def test_a_key_is_read_from_the_environment() -> None:
    assert of("binance", BINANCE) == Credentials("binance-key", "binance-secret")
    assert of("okx", BINANCE | OKX) == Credentials("okx-key", "okx-secret", "okx phrase!")


def test_white_space_around_a_value_is_none_of_it() -> None:
    padded = {name: f" {value}\n" for name, value in OKX.items()}
    assert of("okx", padded) == of("okx", OKX)


def test_a_venue_without_variables_has_no_key() -> None:
    assert of("bybit", BINANCE | OKX) is None
    assert of("binance", dict.fromkeys(BINANCE, "")) is None


def test_the_name_of_a_registered_venue_makes_names_that_a_shell_takes() -> None:
    environ = {"HFTMM_MY_VENUE_KEY": "k", "HFTMM_MY_VENUE_SECRET": "s"}
    assert of("my-venue", environ) == Credentials("k", "s")


@pytest.mark.parametrize(
    ("venue", "environ", "said"),
    [
        (
            "binance",
            {"HFTMM_BINANCE_KEY": "k-1"},
            "binance: the environment has HFTMM_BINANCE_KEY but no HFTMM_BINANCE_SECRET: "
            "set what is missing, or none of them",
        ),
        (
            "okx",
            {"HFTMM_OKX_KEY": "k-1", "HFTMM_OKX_SECRET": "s-1"},
            "okx: the environment has HFTMM_OKX_KEY and HFTMM_OKX_SECRET but no "
            "HFTMM_OKX_PASSPHRASE: set what is missing, or none of them",
        ),
        (
            "okx",
            {"HFTMM_OKX_PASSPHRASE": "p-1"},
            "okx: the environment has HFTMM_OKX_PASSPHRASE but no HFTMM_OKX_KEY and "
            "HFTMM_OKX_SECRET: set what is missing, or none of them",
        ),
        (
            "binance",
            {"HFTMM_BINANCE_KEY": "two words", "HFTMM_BINANCE_SECRET": "s-1"},
            "binance: HFTMM_BINANCE_KEY has a character that no key has: copy it anew",
        ),
        (
            "bybit",
            {"HFTMM_BYBIT_KEY": "k-1", "HFTMM_BYBIT_SECRET": "a\nb"},
            "bybit: HFTMM_BYBIT_SECRET has a character that no key has: copy it anew",
        ),
        (
            "okx",
            OKX | {"HFTMM_OKX_PASSPHRASE": "naïve"},
            "okx: HFTMM_OKX_PASSPHRASE has a character that no key has: copy it anew",
        ),
    ],
)
def test_half_a_key_and_a_garbled_one_are_one_line(
    venue: str, environ: dict[str, str], said: str
) -> None:
    assert refused(venue, **environ) == said


# --- private keys ---------------------------------------------------------------------------


@pytest.mark.parametrize("written", [PEM, PEM.strip().replace("\n", "\\n")])
def test_a_private_key_may_be_the_secret_of_binance_in_one_line_or_several(written: str) -> None:
    found = of("binance", BINANCE | {"HFTMM_BINANCE_SECRET": written})
    assert found is not None
    assert ed25519_base64(found.secret, b"order") == ed25519_base64(PEM, b"order")


def test_a_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    environ = {"HFTMM_BINANCE_KEY": "k", "HFTMM_BINANCE_SECRET_FILE": str(file)}
    assert of("binance", environ) == Credentials("k", PEM.strip())


def test_a_secret_file_that_is_of_no_use_is_named(tmp_path: Path) -> None:
    empty, binary, missing = tmp_path / "empty", tmp_path / "binary", tmp_path / "missing"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    for file, why in (
        (empty, "empty"),
        (binary, "not a text file"),
        (missing, "No such file or directory"),
    ):
        said = refused("binance", HFTMM_BINANCE_KEY="k-1", HFTMM_BINANCE_SECRET_FILE=str(file))
        assert said == f"binance: HFTMM_BINANCE_SECRET_FILE: {file}: {why}"


def test_two_secrets_are_one_too_many(tmp_path: Path) -> None:
    said = refused("binance", **BINANCE, HFTMM_BINANCE_SECRET_FILE=str(tmp_path))
    assert said == (
        "binance: HFTMM_BINANCE_SECRET and HFTMM_BINANCE_SECRET_FILE are both set: keep one of them"
    )


def test_a_private_key_that_cannot_be_read_is_said_to_be_one() -> None:
    said = refused("binance", HFTMM_BINANCE_KEY="k-1", HFTMM_BINANCE_SECRET=RSA)
    assert said.startswith("binance: HFTMM_BINANCE_SECRET: the secret is not a readable private")


@pytest.mark.parametrize("venue", ["bybit", "okx"])
def test_other_venues_take_no_private_key(venue: str) -> None:
    name = f"HFTMM_{venue.upper()}"
    said = refused(
        venue, **{f"{name}_KEY": "k-1", f"{name}_SECRET": PEM, f"{name}_PASSPHRASE": "p-1"}
    )
    assert said.startswith(f"{venue}: {name}_SECRET is a private key")
    assert said.endswith("make a system-generated (HMAC) key")


# --- the keyring ----------------------------------------------------------------------------


def test_the_keyring_is_asked_where_the_environment_has_nothing() -> None:
    assert credentials("okx", {}, keyring=OKX.get) == of("okx", OKX)
    assert credentials("okx", OKX, keyring={"HFTMM_OKX_KEY": "other"}.get) == of("okx", OKX)


def test_half_a_key_in_the_keyring_is_one_line_as_well() -> None:
    with pytest.raises(ConfigError, match=r"^okx: the keyring has HFTMM_OKX_KEY but no HFTMM_"):
        credentials("okx", {}, keyring={"HFTMM_OKX_KEY": "k"}.get)


def plays_keyring(monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, str], object]) -> None:
    module = ModuleType("keyring")
    monkeypatch.setattr(module, "get_password", answer, raising=False)
    monkeypatch.setitem(sys.modules, "keyring", module)


def test_the_system_keyring_knows_keys_by_the_names_of_the_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {("hftmm", name): value for name, value in OKX.items()}
    plays_keyring(monkeypatch, lambda service, name: kept.get((service, name)))
    assert credentials("okx", {}) == of("okx", OKX)
    assert credentials("binance", {}) is None


def test_a_keyring_that_fails_is_one_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(service: str, name: str) -> str:
        raise RuntimeError("no backend that works")

    plays_keyring(monkeypatch, fails)
    assert credentials("okx", {}) is None


def test_without_the_keyring_library_there_is_no_key_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert system_keyring("HFTMM_OKX_KEY") is None


def test_the_keyring_library_is_loaded_by_nobody_who_needs_no_key() -> None:
    source = (
        "import sys, hftmm.cli, hftmm.assembly.headless\n"
        "from hftmm.assembly.credentials import credentials_in\n"
        "assert credentials_in('sim', 'okx', None, {}) is None\n"
        "assert credentials_in('paper', 'okx', None, {}) is None\n"
        "assert 'keyring' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", source], check=True)  # noqa: S603  # our own interpreter


# --- modes ----------------------------------------------------------------------------------


def test_the_test_network_has_keys_of_its_own_where_there_are_any() -> None:
    demo = {"HFTMM_BINANCE_DEMO_KEY": "d", "HFTMM_BINANCE_DEMO_SECRET": "ds"}
    assert of("binance", BINANCE | demo, demo=True) == Credentials("d", "ds")
    assert of("binance", BINANCE | demo) == Credentials("binance-key", "binance-secret")
    assert of("binance", BINANCE, demo=True) == Credentials("binance-key", "binance-secret")
    with pytest.raises(ConfigError, match="HFTMM_BINANCE_DEMO_KEY but no HFTMM_BINANCE_DEMO_SECRE"):
        of("binance", BINANCE | {"HFTMM_BINANCE_DEMO_KEY": "d"}, demo=True)


def test_each_mode_has_its_keys() -> None:
    theirs = Credentials("practice-key", "s", "p")
    practice = Practice({"okx": {}}, "", credentials=theirs)
    demo = {name.replace("OKX", "OKX_DEMO"): f"{value}2" for name, value in OKX.items()}
    environ = OKX | BINANCE | demo

    def key(mode: str, venue: str, practised: Practice | None = None) -> str | None:
        found = credentials_in(mode, venue, practised, environ, nothing)
        return None if found is None else found.key

    assert key("sim", "okx", practice) == "practice-key"
    assert key("live", "okx") == "okx-key"
    assert key("demo", "okx") == "okx-key2"
    assert key("demo", "binance") == "binance-key"


def test_practice_and_paper_read_no_key_of_yours() -> None:
    practice = Practice({"okx": {}}, "", credentials=Credentials("practice-key", "s", "p"))
    assert credentials_in("sim", "binance", practice, BINANCE, nothing) is None
    assert credentials_in("paper", "binance", None, BINANCE, nothing) is None


def test_practice_venues_tell_their_key() -> None:
    line = b'{"okx": {"rest": "http://127.0.0.1:9"}, "credentials": %s}'
    told = described(line % b'{"key": "k", "secret": "s", "passphrase": "p"}')
    assert told.credentials == Credentials("k", "s", "p")
    assert described(b'{"okx": {"rest": "http://127.0.0.1:9"}}').credentials is None
    with pytest.raises(ValueError, match="credentials: Object missing required field `secret`"):
        described(line % b'{"key": "k"}')


# --- what is shown --------------------------------------------------------------------------


def test_a_fingerprint_tells_keys_apart_and_keeps_the_most_of_them() -> None:
    assert Credentials("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv", "s").fingerprint == "vmPU…E2zv"
    assert Credentials("practice-key", "s").fingerprint == "prac…"


def test_what_must_be_set_is_named() -> None:
    assert variables("bybit") == "HFTMM_BYBIT_KEY and HFTMM_BYBIT_SECRET"
    assert variables("okx") == "HFTMM_OKX_KEY, HFTMM_OKX_SECRET and HFTMM_OKX_PASSPHRASE"
