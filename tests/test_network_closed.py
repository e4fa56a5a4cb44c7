from __future__ import annotations

import asyncio
import socket

import pytest

from tests.conftest import NetworkClosed

# TEST-NET-1, RFC 5737: routed nowhere, should the guard ever fail.
FAR = ("192.0.2.1", 443)


def test_a_connection_beyond_this_machine_is_an_error_nobody_can_shrug_at() -> None:
    with socket.socket() as one:
        one.setblocking(False)
        with pytest.raises(NetworkClosed, match=r"192\.0\.2\.1"):
            one.connect(FAR)
        with pytest.raises(NetworkClosed, match=r"192\.0\.2\.1"):
            one.connect_ex(FAR)
    assert not issubclass(NetworkClosed, OSError)


async def test_an_event_loop_does_not_get_around_it() -> None:
    with pytest.raises(NetworkClosed):
        await asyncio.open_connection(*FAR)


def test_no_name_resolves_but_this_machines() -> None:
    assert socket.getaddrinfo("localhost", 80)
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.com", 443)


def test_this_machine_can_be_reached() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()
