"""What a program's loopback address answers a browser: from the head of a request to a response.

Pure. Any page in the browser, and any program on the machine, can send requests to the address
(RFC 8252, section 8.3), so everything but the one expected request is refused.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

_REQUEST_LINE = re.compile(r"([!-~]+) (/[!\"$-~]*) HTTP/1\.[01]")  # RFC 9112, section 3
_LANGUAGE = re.compile(r"\s*([a-zA-Z]+)[^;,]*(?:;\s*q=([0-9.]+))?\s*")  # RFC 9110, section 12.5.4
_MAX_PARAMETERS = 32

_STYLE = """
:root { color-scheme: light dark; font: 1.125rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; text-align: center; }
main { max-width: 30rem; padding: 1.5rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 0.5rem; }
p { margin: 0; }
"""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
    ),
    "Referrer-Policy": "no-referrer",  # The address of the page has the code.
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}

_SIGNED_IN = {
    "en": ("You are signed in", "You can close this window and go back to the program."),
    "de": (
        "Sie sind angemeldet",
        "Sie können dieses Fenster schließen und zum Programm zurückkehren.",
    ),
}
_FAILED = {
    "en": (
        "Signing in did not work",
        "You can close this window and try again in the program.",
    ),
    "de": (
        "Die Anmeldung hat nicht geklappt",
        "Sie können dieses Fenster schließen und es im Programm noch einmal versuchen.",
    ),
}
_UNEXPECTED = {
    "en": (
        "The program does not expect this sign-in",
        "You can close this window and sign in from the program.",
    ),
    "de": (
        "Das Programm erwartet diese Anmeldung nicht",
        "Sie können dieses Fenster schließen und sich vom Programm aus anmelden.",
    ),
}


@dataclass(frozen=True, repr=False)
class Answer:
    """What to send to the browser.

    Attributes:
        content: The response, head and body.
        url: The URL that the provider sent the browser back to; None if this was another request.
    """

    content: bytes
    url: str | None = None


def answer(head: bytes, *, redirect_uri: str, state: str) -> Answer:
    """Return the response to a request, and the URL if it is the expected one.

    A request without the ``state`` of this sign-in does not end the wait: any web page can send
    one (RFC 6749, section 10.12).

    Args:
        head: The request up to its first empty line.
        redirect_uri: The address that the provider sends the browser back to.
        state: The ``state`` of this sign-in.
    """
    own = urlsplit(redirect_uri)
    line, *fields = head.decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(line)
    hosts = _values(fields, "host")
    if match is None or len(hosts) != 1:  # RFC 9112, section 3.2
        return _refused(HTTPStatus.BAD_REQUEST)
    if hosts[0].lower() != own.netloc:  # A name that leads here by DNS rebinding.
        return _refused(HTTPStatus.MISDIRECTED_REQUEST)
    method, (path, _, query) = match[1], match[2].partition("?")
    if path != (own.path or "/"):
        return _refused(HTTPStatus.NOT_FOUND)
    if method != "GET":
        return _refused(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET"})
    language = preferred_language(",".join(_values(fields, "accept-language")))
    parameters = _parameters(query)
    if not _is_expected(parameters, state):
        return Answer(_page(HTTPStatus.BAD_REQUEST, language, *_UNEXPECTED[language]))
    has_failed = "error" in parameters or "code" not in parameters
    texts = (_FAILED if has_failed else _SIGNED_IN)[language]
    return Answer(_page(HTTPStatus.OK, language, *texts), f"{redirect_uri}?{query}")


def preferred_language(accepted: str) -> str:
    """Return ``de`` if ``Accept-Language`` prefers German to English, else ``en``.

    Args:
        accepted: The value of the header (RFC 9110, section 12.5.4).
    """
    weights = {"en": 0.0, "de": 0.0}
    for entry in accepted.split(","):
        match = _LANGUAGE.fullmatch(entry)
        if match is not None and (language := match[1].lower()) in weights:
            weights[language] = max(weights[language], _weight(match[2]))
    return "de" if weights["de"] > weights["en"] else "en"


def _weight(text: str | None) -> float:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return 0.0


def _values(fields: list[str], name: str) -> list[str]:
    pairs = (field.partition(":") for field in fields)
    return [value.strip() for known, _, value in pairs if known.lower() == name]


def _parameters(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        return {}


def _is_expected(parameters: dict[str, list[str]], state: str) -> bool:
    states = parameters.get("state", [])
    return len(states) == 1 and compare_digest(states[0].encode(), state.encode())


def _refused(status: HTTPStatus, headers: dict[str, str] | None = None) -> Answer:
    body = f"{status.phrase}\n".encode()
    return Answer(_response(status, body, {"Content-Type": "text/plain", **(headers or {})}))


def _page(status: HTTPStatus, language: str, title: str, text: str) -> bytes:
    html = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p></main></body></html>\n"
    )
    return _response(status, html.encode(), {"Content-Type": "text/html; charset=utf-8"})


def _response(status: HTTPStatus, body: bytes, headers: dict[str, str]) -> bytes:
    fields = {**_HEADERS, **headers, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
