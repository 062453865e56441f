"""Hints for developers: what a response or a silence says about a mistake in the settings.

They are added to errors as notes (``__notes__``), and shown by ``diagnose()``. The sentences for
people do not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from unexpired.call_log import shown
from unexpired.dialect import Dialect, is_page
from unexpired.messages import Request, Response
from unexpired.options import Options
from unexpired.origins import may_be_same_site, origin_of
from unexpired.outside_text import PAGE_HINT
from unexpired.proofs import DPOP, wants_another_proof
from unexpired.session import Unbound
from unexpired.token_response import is_outage, refusal
from unexpired.token_server import PathOption

OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}
CORS_HEADERS = ("authorization", "dpop", "content-type", "idempotency-key")

PROOF_REFUSED = (
    "The server refused a proof of possession (DPoP). Behind a proxy it has to know the address"
    " that clients use: set PUBLIC_URL there."
)
NO_COOKIE_SET = (
    'storage="cookie" needs a server that sets the refresh token as a cookie: by its setting'
    " cookies, or by open_session(…, response=…) in a route of your own. In this response a script"
    " can read it, so it is not used."
)
NO_COOKIE_SENT = (
    "The server got no cookie of a session. It was deleted, or the browser does not keep it: it"
    " needs https, and an API of the page's own site."
)
_UNBOUND = {
    "no_key": (
        "No key can be kept: a page needs https or its own machine, and IndexedDB; a program needs"
        " pip install 'unexpired[desktop]'. Sync code in a page can use one only where the engine"
        " can wait for a promise in the middle of it; AsyncClient can everywhere."
    ),
    "refused": PROOF_REFUSED,
    "cors": (
        "The sign-in got no response with a proof, and one without: the API's CORS rules may not"
        " allow the header DPoP."
    ),
    "not_bound": "The server did not bind the session: it does not know DPoP, or DPOP=off is set.",
}

EXAMINE = "Await client.examine() to find out which."
LARGE_SKEW = 300.0  # s. Certificates, one-time codes and signatures begin to fail at about this.

_NO_ROUTE = {404, 405}


def exchange_hint(options: Options, option: PathOption, url: str, response: Response) -> str:
    """Return what is wrong with the settings, if a response without tokens tells; else nothing.

    Args:
        options: The client's options.
        option: The option that holds the path of the request.
        url: Where the request went.
        response: The response as the server sent it.
    """
    where, status = shown(url), response.status_code
    if status in _NO_ROUTE:
        path = getattr(options, option)
        page = " It sent an HTML page: base_url may be the address of a page." * is_page(response)
        return (
            f"{option} is {path!r}, so the request went to {where}, and the server has no such"
            f" route for POST ({status}). Set {option} and base_url to what your server has.{page}"
        )
    if response.is_success and is_page(response):
        return (
            f"{where} sent no JSON. {PAGE_HINT} Set {option} and base_url to what your server has."
        )
    if response.is_success:
        return _missing_token_hint(options.dialect, option, response.fields)
    return _refusal_hint(options, option, response)


def _refusal_hint(options: Options, option: PathOption, response: Response) -> str:
    is_final = response.is_client_error and not is_outage(response.status_code)
    if option != "refresh_path" or not is_final:
        return ""
    code = refusal(options.dialect.read_refresh(response))
    if code is not None:
        is_without = options.uses_cookie and code == "REFRESH_INVALID"
        return (site_hint(options) or NO_COOKIE_SENT) if is_without else ""
    if wants_another_proof(options.dialect.named(response)):
        return PROOF_REFUSED
    return (
        f"The server did not refresh, with a {response.status_code} that the dialect does not know"
        " as a refusal, so the session is kept. If it is one, add its code to Dialect.refused or"
        " its status to refused_statuses. If the page is of another origin, the server may refuse"
        " that origin."
    )


# -- The dialect -------------------------------------------------------------------------------


def _missing_token_hint(dialect: Dialect, option: PathOption, fields: Mapping[str, Any]) -> str:
    """Return which dialect a response without the expected access token belongs to."""
    if fitting := fitting_dialects(fields):
        return (
            f"The response has no {dialect.access_token}, in which this dialect expects the access"
            f" token. Its names are those of dialect={' or '.join(fitting)}."
        )
    is_second_step = option == "login_path" and bool(fields)
    return "" if is_second_step else names_hint(dialect, fields)


def names_hint(dialect: Dialect, fields: Mapping[str, Any]) -> str:
    """Return the names in a response that has no usable access token, without their values."""
    names = ", ".join(sorted(map(str, fields)))[:200] or "nothing"
    nested = [
        f'Dialect(access_token="{path}") would read {path}.' for path in _possible_tokens(fields)
    ]
    no_token = f"There is no usable access token in {dialect.access_token}, but: {names}."
    return " ".join([no_token, *nested[:1]])


def _possible_tokens(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths to what may be an access token under another name."""
    if isinstance(fields.get("token"), str):
        yield "token"
    for outer, inner in fields.items():
        for name in ("accessToken", "access_token", "access", "token"):
            if isinstance(inner, Mapping) and isinstance(inner.get(name), str):
                yield f"{outer}.{name}"


def fitting_dialects(fields: Mapping[str, Any]) -> list[str]:
    """Return the ready dialects whose names are in a token response, as one writes them."""
    if isinstance(fields.get("accessToken"), str):
        return ["Dialect()"]
    if isinstance(fields.get("access"), str):
        return ["Dialect.simplejwt()"]
    if isinstance(fields.get("access_token"), str):
        return _of_access_token(fields)
    return []


def _of_access_token(fields: Mapping[str, Any]) -> list[str]:
    if "refresh_token" not in fields:
        return ["Dialect.fastapi_users()", "Dialect.oauth()"]
    is_oauth = "token_type" in fields or "expires_in" in fields
    return ["Dialect.oauth()" if is_oauth else "Dialect.flask_jwt_extended()"]


# -- The network -------------------------------------------------------------------------------


def network_hint(request: Request, *, page_url: str, is_online: bool) -> str:
    """Return what a page can know of a request without a response; else nothing.

    A browser reports a lost connection and a refusal by CORS alike (Fetch Standard, network error).

    Args:
        request: The request.
        page_url: The address of the page; empty if there is none.
        is_online: Whether the browser says that there is a network.
    """
    if not is_online:
        return "The browser says that this device is offline."
    origin, home = origin_of(request.url), origin_of(page_url)
    if not origin or not home or origin == home:
        return ""
    if home.startswith("https:") and origin.startswith("http:") and not _is_own_machine(origin):
        return (
            f"The page is of https and {origin} of http: browsers block such a request as mixed"
            " content. Serve the API by https."
        )
    return (
        f"{origin} is another origin than the page's. It did not respond, or {_cors(request, home)}"
        f" {EXAMINE}"
    )


def probe_hint(origin: str, method: str, *, page_url: str, responds: bool) -> str:
    """Return what a probe says about a request to another origin that got no response.

    Args:
        origin: The other origin.
        method: The method of the request.
        page_url: The address of the page.
        responds: Whether the origin responded to a request without CORS.
    """
    if responds:
        return (
            f"{origin} responds, so the browser refused the request: the server's CORS rules may"
            f" not allow the origin {origin_of(page_url)}, the method {method}, or one of the"
            f" headers {_titles(CORS_HEADERS)} (idempotency_keys=False leaves the last one out)."
        )
    return (
        f"{origin} does not respond to this page at all: the server is down, its address is wrong,"
        " its certificate is not accepted, the page's Content Security Policy does not list it in"
        " connect-src, or the browser lets no public page reach this device or its local network."
    )


def skew_hint(skew: float | None) -> str:
    """Return a hint if this device's clock is wrong by minutes; else nothing.

    Args:
        skew: The server's clock minus this device's, in seconds; None without a session.
    """
    if skew is None or abs(skew) < LARGE_SKEW:
        return ""
    side = "behind" if skew > 0 else "ahead of"
    return (
        f"This device's clock is {abs(skew):.0f} s {side} the server's. The client allows for it"
        " when it refreshes; one of the two clocks should be set right."
    )


def site_hint(options: Options) -> str:
    """Return a hint if the browser cannot send the session's cookie; else nothing.

    Which part of a host name is its site only a browser knows, by its list of public suffixes. Two
    that end in the same two labels may be of one site.
    """
    if not options.uses_cookie:
        return ""
    page, api = urlsplit(options.page_url), urlsplit(options.resolve(options.refresh_path))
    if api.scheme == "http" and api.hostname not in OWN_MACHINE:
        return 'storage="cookie" needs https: the browser does not keep the cookie of an http API.'
    if page.scheme == api.scheme and may_be_same_site(page.hostname or "", api.hostname or ""):
        return ""
    return (
        f'storage="cookie" needs an API of the page\'s own site: from {page.hostname} the browser'
        f" sends no cookie to {api.hostname}. Serve both under one domain, or by one proxy."
    )


def unbound_hint(options: Options, because: Unbound | None) -> str:
    """Return why a session is bound to no key.

    Args:
        options: The client's options.
        because: What its sign-in found; None if this client has not seen it.
    """
    if options.dpop == "off":
        return 'The option dpop is "off".'
    if not options.sends_proofs:
        setting = "Dialect(dpop=True)" if options.provider is None else "Provider(dpop=True)"
        return f"Another server than this project's own gets proofs with {setting}."
    return _UNBOUND[because] if because else "The session began without a key."


def _cors(request: Request, home: str) -> str:
    names = [name for name in CORS_HEADERS if name in request.headers]
    headers = f", or the headers {_titles(names)}" if names else ""
    key = " (idempotency_keys=False leaves the last one out)" * ("idempotency-key" in names)
    return f"its CORS rules do not allow the origin {home}{headers}{key}."


def _titles(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(name.title() for name in names).replace("Dpop", DPOP)


def _is_own_machine(origin: str) -> bool:
    """Return whether a page of https may call this origin of http (Secure Contexts, 3.1)."""
    return urlsplit(origin).hostname in OWN_MACHINE
