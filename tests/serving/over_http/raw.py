"""What the tests of connections share: bytes that are sent as they are, and what comes back."""

import socket
import time


def address(client):
    return client.base_url.host, client.base_url.port


def exchange(client, *pieces, pause=0.0):
    """What comes back when the pieces are sent, until the server closes."""
    with socket.create_connection(address(client), 20) as other:
        for piece in pieces:
            other.sendall(piece)
            time.sleep(pause)
        return b"".join(iter(lambda: other.recv(65536), b""))


def head(method, path, *more, length=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *more]
    lines += [] if length is None else [f"Content-Length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
