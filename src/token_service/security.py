"""Which host names are answered, and what pages may do."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from token_service.problems import problem_of

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: Probes come under a pod's address, and a webhook is signed: neither needs the Host check.
ANY_HOST_PATHS = frozenset({"/livez", "/readyz", "/health", "/livekit/webhook"})


class HostCheck:
    """ASGI middleware: answers only under known host names, against DNS rebinding."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in ANY_HOST_PATHS:
            hosts = Headers(scope=scope).getlist("host")
            if len(hosts) != 1 or _without_port(hosts[0]) not in self._hosts:
                await problem_of("host_not_allowed")(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def hosts_to_answer(allowed: tuple[str, ...], *, has_keys: bool) -> frozenset[str]:
    """Without keys only loopback's names and the configured ones; with keys what is configured.

    Empty: under every name.
    """
    if has_keys:
        return frozenset(allowed)
    return LOOPBACK_HOSTS | frozenset(allowed)


def page_headers(livekit_url: str, origins: tuple[str, ...]) -> dict[str, str]:
    """The talk page's headers: the microphone too; `origins` may embed the page."""
    microphone = " ".join(("self", *(f'"{origin}"' for origin in origins)))
    return _headers(livekit_url, " ".join(("'self'", *origins)), microphone)


def console_headers(livekit_url: str) -> dict[str, str]:
    """The console's headers: it frames the talk page, which has the microphone from it; no page may
    embed the console itself.
    """
    return _headers(livekit_url, "'none'", "self", frames="'self'")


def console_talk_headers(livekit_url: str) -> dict[str, str]:
    """The talk page's headers inside the console, which alone may frame it."""
    return _headers(livekit_url, "'self'", "self")


def _headers(
    livekit_url: str, frame_ancestors: str, microphone: str, *, frames: str | None = None
) -> dict[str, str]:
    """A page's own scripts, our LiveKit, `frames` of these origins, and nothing else.

    `livekit_url` is where browsers connect; after a failed WebSocket the SDK asks the same host
    over HTTP why.
    """
    parts = urlsplit(livekit_url)
    secure = "s" if parts.scheme in {"wss", "https"} else ""
    host = parts.netloc.rpartition("@")[2]
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "media-src": "'self' blob:",
        "connect-src": f"'self' ws{secure}://{host} http{secure}://{host}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": frame_ancestors,
    }
    if frames is not None:
        policy["frame-src"] = frames
    return {
        "Content-Security-Policy": "; ".join(f"{k} {v}" for k, v in policy.items()),
        "Permissions-Policy": f"microphone=({microphone}), camera=(), geolocation=()",
        "Cache-Control": "no-cache",
    }
