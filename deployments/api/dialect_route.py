"""The route class of every dialect."""

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from deployments.serving.ray_errors import own_error
from deployments.wire.errors import error_response
from pipeline.errors import LongtakeError


def dialect_route(
    render_error: Callable[[LongtakeError], Response] = error_response,
    *,
    headers: Mapping[str, str] = MappingProxyType({}),
    precondition: Callable[[Request], Response | None] = lambda _: None,
) -> type[APIRoute]:
    """Return a class of routes that render errors with `render_error` and send `headers` with every response.

    If `precondition` returns a response, it is sent and the route is not called.
    """

    class DialectRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def respond(request: Request) -> Response:
                try:
                    response = precondition(request) or await handle(request)
                except LongtakeError as error:
                    own = own_error(error)
                    assert isinstance(own, LongtakeError)
                    response = render_error(own)
                response.headers.update(headers)
                return response

            return respond

    return DialectRoute
