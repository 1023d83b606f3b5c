"""An HTTP server whose pages misbehave on demand."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Page = Callable[[BaseHTTPRequestHandler], None]


class HttpSite:
    """Pages by path on a loopback port; remembers the requests for each."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
                page = site.pages.get(self.path.partition("?")[0])
                if page is None:
                    self.send_error(404)
                    return
                try:
                    page(self)
                except OSError:
                    self.close_connection = True  # the client hung up, as it does after the headers

            do_HEAD = do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def page(content: bytes, status: int = 200, /, **headers: str) -> Page:
    """A page of `content`. Underscores in header names stand for hyphens; no Content-Length unless given."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return send


def sized(content: bytes, status: int = 200, /, **headers: str) -> Page:
    return page(content, status, Content_Length=str(len(content)), **headers)


def redirect(location: str, *, status: int = 302) -> Page:
    return page(b"", status, Location=location, Content_Length="0")


def in_turn(*pages: Page) -> Page:
    """Another page for each request."""
    rest = iter(pages)

    def send(handler: BaseHTTPRequestHandler) -> None:
        next(rest)(handler)

    return send
