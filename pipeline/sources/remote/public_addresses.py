"""Keep http requests away from the server's own network.

A host is resolved once, every address is checked, and the connection goes to one of these addresses: a second lookup
could return others. A redirect to another host opens a new connection, which is checked in the same way.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence

import httpcore

from pipeline.errors import SourceForbidden, SourceNotFound
from pipeline.sources.remote.retries import Deadline, TransientFailure

Resolver = Callable[[str, int], Sequence[str]]
"""Resolves host and port to IP addresses; raises socket.gaierror."""

# Listed here because `ipaddress.is_global` of Python 3.11.7 calls several of them global. Sources: the IANA
# registries of special-purpose addresses, and the vendors' documents for 168.63.129.16 (Azure's platform
# service, a public one).
_REFUSED_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST_IPV6 = ipaddress.IPv6Network("2000::/3")
_REFUSED_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, with Teredo and ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether `address` is on the public internet, and so is the IPv4 address embedded in it, if any."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _REFUSED_IPV4)
    if ip.ipv4_mapped is not None:
        return is_public(str(ip.ipv4_mapped))
    if ip in _NAT64:  # DNS64 maps every IPv4 host here
        return is_public(str(ipaddress.IPv4Address(ip.packed[-4:])))
    return ip in _GLOBAL_UNICAST_IPV6 and not any(ip in network for network in _REFUSED_IPV6)


def resolve_host(host: str, port: int) -> Sequence[str]:
    """Resolve with the system's resolver, which also accepts every spelling of a numeric host."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))


class GuardedNetwork(httpcore.SyncBackend):
    """Connects httpcore to public addresses only, and ends every wait at the deadline.

    `name` identifies the video in messages: the client's URL, even after a redirect.
    """

    def __init__(self, name: str, *, allow_private: bool, resolve: Resolver, deadline: Deadline) -> None:
        self._name = name
        self._allow_private = allow_private
        self._resolve = resolve
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._allowed_addresses(host, port):
            try:
                bounded = self._deadline.bound(timeout)
                stream = super().connect_tcp(address, port, bounded, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failure

    def _allowed_addresses(self, host: str, port: int) -> Sequence[str]:
        addresses = self._addresses(host, port)
        if self._allow_private or all(is_public(address) for address in addresses):
            return addresses
        raise SourceForbidden(
            f"{self._name} leads to an address that is not on the public internet. Use a public one, or have "
            "the operator set allow_private_addresses."
        )

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return self._resolve(host, port)
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise SourceNotFound(f"{self._name} leads to a host that does not exist. Check the URL.") from error
            raise TransientFailure("leads to a host whose address could not be looked up") from error


class _DeadlineStream(httpcore.NetworkStream):
    """Bounds the whole transfer. httpcore bounds each read, which an origin that sends single bytes never exceeds."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.bound(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.bound(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.bound(timeout))
        return _DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
