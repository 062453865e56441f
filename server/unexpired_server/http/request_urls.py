"""The URLs that a client may have used for a request, as its proof names them.

With ``PUBLIC_URL`` there is one origin, whatever ``Host`` says. Without it the origin is that of
``Host``, which a page's scripts cannot change; it may be http or https, because a proxy may end TLS
without saying so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection

from unexpired_server.tokens.proof_urls import normal_url

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


class RequestURLs:
    """Finds the URLs of requests.

    Args:
        public_url: The URL that clients use for this server, without a slash at its end.
    """

    def __init__(self, public_url: str | None = None) -> None:
        self._public_url = public_url
        self._public_path = urlsplit(public_url or "").path
        self._public_origin = (public_url or "").removesuffix(self._public_path)

    def of(self, request: HTTPConnection) -> Collection[str]:
        """Return the URLs that a request may have had, in their normal form."""
        path, root = _paths(request)
        if not path.startswith("/"):  # Such as ``*``; it would be read as part of the host.
            return ()
        try:
            return {normal_url(url) for url in self._candidates(request, path, root)}
        except ValueError:  # Of the Host header, or of the path.
            return ()

    def public(self, request: HTTPConnection) -> str:
        """Return the one URL of a request where there is ``PUBLIC_URL``, as browsers use it."""
        path, _ = _paths(request)
        has_path = self._public_path and path.startswith(f"{self._public_path}/")
        return (self._public_origin if has_path else self._public_url or "") + path

    def _candidates(self, request: HTTPConnection, inner: str, root: str) -> Iterator[str]:
        if self._public_url:
            yield self._public_url + inner
            if self._public_path and inner.startswith(f"{self._public_path}/"):
                yield self._public_origin + inner
            return
        hosts = [value for name, value in request.scope["headers"] if name == b"host"]
        # With a slash, it could put a path before the request's own.
        if len(hosts) == 1 and b"/" not in hosts[0]:
            host = hosts[0].decode("latin-1")
            yield from (f"{scheme}://{host}{inner}" for scheme in ("http", "https"))
            if root:
                yield from (f"{scheme}://{host}{root}{inner}" for scheme in ("http", "https"))


def _paths(request: HTTPConnection) -> tuple[str, str]:
    """Return a request's path as it was sent, without and within the server's own prefix.

    The prefix (``root_path``) is what a proxy has taken away. Some servers put it in front of the
    path again, as ASGI says, and others do not. A mounted application's path is not part of it.
    """
    scope = request.scope
    root = quote(scope.get("app_root_path", scope.get("root_path", "")).rstrip("/"))
    path = quote(scope.get("raw_path") or scope["path"].encode(), safe=VISIBLE)
    if root and path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    return path, root
