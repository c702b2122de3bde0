"""Free ports on loopback, remembered from start to start where they are still free."""

import random
import socket
from collections.abc import Iterable, Mapping

HOST = "127.0.0.1"
# Below the ranges from which systems take the ports of outgoing connections (Linux: 32768 up,
# macOS: 49152 up), so that none of those takes a port between our choice and the part's bind.
RANGE = range(20000, 32768)
ATTEMPTS = 200  # of 12768 ports; failing that often means that something else is wrong


def is_free(port: int) -> bool:
    """Whether both TCP and UDP can be bound on loopback now."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:  # what servers set; a closed connection may linger
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


def free_port(*, taken: Iterable[int] = ()) -> int:
    """A port that is free now and not in `taken`.

    Raises:
        OSError: none was found.
    """
    refused = set(taken)
    for port in random.sample(RANGE, ATTEMPTS):
        if port not in refused and is_free(port):
            return port
    raise OSError(f"no free port on {HOST} between {RANGE.start} and {RANGE.stop}")


def assign(names: Iterable[str], *, remembered: Mapping[str, int]) -> dict[str, int]:
    """A free port for each name: the remembered one where possible, so that addresses stay."""
    ports: dict[str, int] = {}
    for name in names:
        port = remembered.get(name)
        if port is None or port in ports.values() or not is_free(port):
            port = free_port(taken=[*ports.values(), *remembered.values()])
        ports[name] = port
    return ports


def first_free(ports: Iterable[int]) -> int | None:
    """The first of `ports` that is free, or None."""
    return next((port for port in ports if is_free(port)), None)
