"""The page at `/`: the files of `web/`, as they are."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).resolve().parents[2] / "web"

HEADERS = {
    # Scripts, styles and requests of this server alone, and nothing inline. The player may load a video from wherever
    # the address leads that someone typed in, and `blob:` is a file that they chose.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src 'self' blob: https: http:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    # A browser asks each time whether it has the newest, and is told by the ETag: nothing is stale after an update.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageFiles(StaticFiles):
    """Files with the page's headers. An unknown one is a 404 in the API's shape."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def add_page(app: FastAPI) -> None:
    """`/` is the page; what it loads is below `/page`."""
    files = PageFiles(directory=WEB)

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.mount("/page", PageFiles(directory=WEB / "page"))
