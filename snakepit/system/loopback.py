"""Tells addresses of this machine alone from those that others reach."""

import ipaddress
import socket


def is_loopback(address: str) -> bool:
    """Tell whether a text is an IP address of the loopback interface."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback


def is_local(sock: socket.socket) -> bool:
    """Tell whether only programs on this machine can connect to a listening socket."""
    return sock.family not in (socket.AF_INET, socket.AF_INET6) or is_loopback(sock.getsockname()[0])
