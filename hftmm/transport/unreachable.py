"""Why a host could not be reached, in one line that names the host and the cause."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from hftmm.core.errors import Unavailable


def unreachable(url: str, error: Exception) -> Unavailable:
    """The error to raise for a URL; only its scheme and host are named, for a path may hold a key.

    Args:
        error: what asyncio or a library on top of it raised.
    """
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Unavailable(f"{host}: {cause(error)}")


def cause(error: BaseException) -> str:
    """An error of the network in words."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"TLS failed, certificate not accepted: {error.verify_message}"
        case ssl.SSLError():
            # Set by OpenSSL's own errors only, whatever the stub says.
            reason: str = getattr(error, "reason", None) or str(error)
            return f"TLS failed: {reason.replace('_', ' ').lower()}"
        case socket.gaierror():
            return f"name does not resolve: {error.strerror or error}"
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused"
        case ConnectionResetError():
            return "connection reset"
        case OSError():
            return _system_cause(error)
        case _:
            return first_line(str(error)) or type(error).__name__


def first_line(text: str) -> str:
    """A text cut to what fits into a line of a log."""
    line = text.strip().partition("\n")[0].rstrip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


_LONGEST = 120


def _system_cause(error: OSError) -> str:
    # A name with several addresses fails once for each, and asyncio joins the texts.
    if "Connect call failed" in str(error) or "onnection refused" in str(error):
        return "connection refused"
    return first_line(error.strerror or str(error)) or type(error).__name__
