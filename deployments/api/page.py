"""The page at `/`: the files of `web/`, unchanged."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).resolve().parents[2] / "web"

HEADERS = {
    # Only scripts, styles and requests of this server, and nothing inline. The player may load a video from any
    # address that the user types in, and `blob:` is a file that they chose.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src 'self' blob: https: http:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    # Browsers revalidate each file by its ETag, so nothing is stale after an update.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageFiles(StaticFiles):
    """Serves files with the page's headers. An unknown file is a 404 in the API's error format."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`, and the files that it loads below `/page`."""
    files = PageFiles(directory=WEB)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.mount("/page", PageFiles(directory=WEB / "page"))
