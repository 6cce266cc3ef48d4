"""HTTP/1.1 on loopback with as little of its own as Python can do: a thread for each connection, which is kept open."""

import contextlib
import socket
import threading


class Server:
    """`handle(method, path, headers, body)` gives status, headers and body of the answer."""

    def __init__(self, handle, tls=None):
        self.handle, self.tls = handle, tls
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        # Wakes the thread that accepts.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A process that was killed leaves half a handshake or half a request behind.
        with contextlib.suppress(OSError):
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as reader:
                while request := read(reader):
                    status, headers, body = self.handle(*request)
                    lines = [f"HTTP/1.1 {status} OK", f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
                    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def read(reader):
    """Method, path, headers and body of the next request; nothing when there is none."""
    line = reader.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, value = line.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
        return method, path, headers, body
    return method, path, headers, reader.read(int(headers.get("content-length", 0)))
