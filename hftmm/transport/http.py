"""REST calls: one request, one reply, one deadline. Trying again is the session's affair."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace, TracebackType

import aiohttp
from yarl import URL

from hftmm.core.errors import Unavailable
from hftmm.transport.unreachable import unreachable

BODY_LIMIT = 32 * 1024 * 1024
"""Bytes of the largest body taken, unpacked."""

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What a host answered, whatever the status.

    Attributes:
        headers: by names in lower case.
        sent_ns: our clock when the request had been sent, connection and TLS already made.
        received_ns: our clock when the head of the answer was there.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    sent_ns: int
    received_ns: int


class HttpClient:
    """Keeps connections open between calls; an async context manager."""

    def __init__(
        self,
        *,
        deadline_s: float = 5.0,
        body_limit: int = BODY_LIMIT,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """
        Args:
            clock: ns since the epoch, for the times of a reply.
        """
        self._deadline_s = deadline_s
        self._body_limit = body_limit
        self._tls: ssl.SSLContext | bool = tls if tls is not None else True
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._note_sent)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit_per_host=8, ttl_dns_cache=300, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            # The deadline of a call covers everything; aiohttp's own would be a second one.
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[trace],
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] = _NO_HEADERS,
        body: bytes = b"",
        deadline_s: float | None = None,
    ) -> HttpReply:
        """Makes one call; redirects are not followed, every status is a reply.

        Args:
            url: sent exactly as it is: venues sign the bytes of the query.
            deadline_s: for all of it, in place of the client's.

        Raises:
            Unavailable: no reply was had; one line with the host and the cause.
        """
        if self._session is None:
            raise unreachable(url, Unavailable("the HTTP client is not open"))
        stamp = SimpleNamespace(sent_ns=0)
        try:
            async with (
                asyncio.timeout(self._deadline_s if deadline_s is None else deadline_s),
                self._session.request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    trace_request_ctx=stamp,
                ) as response,
            ):
                received_ns = self._clock()
                return HttpReply(
                    response.status,
                    await self._body(url, response),
                    {name.lower(): value for name, value in response.headers.items()},
                    stamp.sent_ns,
                    received_ns,
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # ValueError: a URL without a host, or with an impossible port.
            raise unreachable(url, _inner(error)) from error

    async def _body(self, url: str, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._body_limit:
                response.close()
                raise unreachable(url, Unavailable(f"answer of more than {self._body_limit} bytes"))
        return bytes(body)

    async def _note_sent(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        params: aiohttp.TraceRequestHeadersSentParams,
    ) -> None:
        context.trace_request_ctx.sent_ns = self._clock()


def _inner(error: Exception) -> Exception:
    """The error of the system inside one of aiohttp's, or its own in fewer words."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorError():
            return error.os_error
        case aiohttp.ServerDisconnectedError():
            return Unavailable("connection closed before the answer")
        case aiohttp.ClientResponseError():
            return Unavailable("the answer is not HTTP")
        case aiohttp.ClientPayloadError():
            return Unavailable("the answer was cut off")
        case aiohttp.InvalidURL():
            return Unavailable("not a URL of a host")
        case _:
            return error
