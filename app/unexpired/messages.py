"""Requests and responses as frozen values, and the errors that carry them.

Their repr never shows a token, a body or a query.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, Self, TypeVar

from unexpired.body_parts import PartedBody
from unexpired.outside_text import PAGE_HINT, loads

OneShot = AsyncIterable[bytes] | Iterable[bytes]
Body = bytes | PartedBody | OneShot | None

# Whether a request carries the token; "optional": if there is one; "sign_in": none, but its
# response will have tokens.
Auth = bool | Literal["optional", "sign_in"]

SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}  # RFC 9110, section 9.2.1.
IDEMPOTENT_METHODS: Final = {*SAFE_METHODS, "PUT", "DELETE"}  # RFC 9110, section 9.2.2.

# Is called with the bytes so far and the total, which is None as long as it is unknown.
Progress = Callable[[int, int | None], None]

_Text = TypeVar("_Text", bytes, str)

# RFC 9110, section 5.6.2. Names are ASCII: browsers and http.client refuse all others.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110, section 5.5, in ISO-8859-1, as fetch sends it (Fetch Standard, byte sequence).
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
EVENT_STREAM = "text/event-stream"  # HTML Standard, section 9.2.1
FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})  # Fetch Standard, section 2.2.1


class Headers(Mapping[str, str]):
    """Header fields by name, in any case; a repeated name has its values joined by a comma.

    See RFC 9110, section 5.3.
    """

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        self._fields: dict[str, str] = {}
        for name, value in pairs:
            known = self._fields.get(name.lower())
            self._fields[name.lower()] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def items(self) -> ItemsView[str, str]:
        """Return the names and the values; a ``Mapping`` would look each of them up."""
        return self._fields.items()

    def with_field(self, name: str, value: str) -> Headers:
        """Return these fields with one of them set."""
        changed = Headers.__new__(Headers)
        changed._fields = {**self._fields, name.lower(): value}
        return changed

    def __repr__(self) -> str:
        """Show only the names: values may be credentials."""
        return f"Headers({', '.join(self._fields)})"


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One HTTP request, which can be sent any number of times unless its body is one-shot.

    Attributes:
        method: The HTTP method, in capitals.
        url: Absolute, or relative to the page.
        headers: The header fields.
        body: Bytes, a body in parts, an iterable of bytes that can be sent once, or None.
        sensitive: Whether the body carries a credential: it is then neither cached nor redirected.
        keepalive: Whether the request outlives the page that sends it, as a sign-out must.
        cookies: Whether a browser sends and takes cookies, also of another origin.
        auth: Whether the request carries the token; ``"optional"``: if there is one;
            ``"sign_in"``: none, but its response will have tokens.
        upload_progress: Is called while the body is sent, with the bytes so far and the total.

    Raises:
        TypeError: If a header's value is not a text.
        ValueError: If no browser could send the method or a header.
    """

    method: str
    url: str
    headers: Headers = field(default_factory=Headers)
    body: Body = None
    sensitive: bool = False
    keepalive: bool = False
    cookies: bool = False
    auth: Auth = field(default=True, compare=False)
    upload_progress: Progress | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.method not in IDEMPOTENT_METHODS:
            _check_method(self.method)
        for name, value in self.headers.items():
            check_header(name, value)

    @property
    def is_replayable(self) -> bool:
        """Whether the same body can be sent a second time."""
        if isinstance(self.body, PartedBody):
            return self.body.is_replayable
        return self.body is None or isinstance(self.body, bytes)

    @property
    def wants_events(self) -> bool:
        """Whether the response is to be a stream of server-sent events, which has no end."""
        return "accept" in self.headers and self.headers["accept"] == EVENT_STREAM

    def with_header(self, name: str, value: str) -> Request:
        """Return this request with one header field set."""
        headers = self.headers.with_field(name, value)
        return Request(  # Several times for each call: ``replace`` takes four times as long.
            self.method,
            self.url,
            headers,
            self.body,
            sensitive=self.sensitive,
            keepalive=self.keepalive,
            cookies=self.cookies,
            auth=self.auth,
            upload_progress=self.upload_progress,
        )

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.url.partition('?')[0].partition('#')[0]}>"


def _check_method(method: str) -> None:
    if not _TOKEN.fullmatch(method):
        raise ValueError("method is the name of an HTTP method, such as GET")
    if method.upper() in FORBIDDEN_METHODS:
        raise ValueError(f"method: browsers do not send {method.upper()}")


def check_header(name: str, value: str) -> None:
    """Check one header field. The messages never quote a value: it may be a credential.

    Raises:
        TypeError: If the value is not a text.
        ValueError: If no browser could send the field.
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"headers: {name!a} is not a name of letters, digits and hyphens")
    if not isinstance(value, str):
        raise TypeError(f"headers: the value of {name} is not a text")
    # The pattern takes 2 µs for a token in a page. Of ASCII, it has what can be printed.
    is_plain = value.isascii() and value.isprintable()
    if not is_plain and not _FIELD_VALUE.fullmatch(value):
        raise ValueError(
            f"headers: the value of {name} has a line break, or a character beyond ISO-8859-1"
        )


class ResponseHead:
    """What is known of a response before its body is read.

    Attributes:
        status_code: The HTTP status.
        headers: The header fields that the caller may see.
        url: The URL of the response, after redirects.
        request: The request as the caller made it, without our token; None for a response that no
            client received.
    """

    status_code: int
    headers: Headers
    url: str
    request: Request | None

    @property
    def reason_phrase(self) -> str:
        """The standard phrase of the status, as ``Not Found``; empty if it has none.

        It is not what the server sent: HTTP/2 has no reason phrase, and fetch shows none.
        """
        from http import HTTPStatus  # noqa: PLC0415 - few pages need it

        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def encoding(self) -> str:
        """The charset of the body by its content type; UTF-8 if that names none that is known."""
        charset = _charset(self.headers.get("content-type", ""))
        try:
            b"a".decode(charset, errors="replace")
        except (LookupError, ValueError):  # Python has codecs that are none for texts.
            return "utf-8"
        return charset

    @property
    def is_informational(self) -> bool:
        """Whether the status is 1xx (RFC 9110, section 15)."""
        return self.status_code // 100 == 1

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status_code // 100 == 2  # noqa: PLR2004 - the class of the status

    @property
    def is_redirect(self) -> bool:
        """Whether the status is 3xx; the clients follow redirects where they may."""
        return self.status_code // 100 == 3  # noqa: PLR2004

    @property
    def is_client_error(self) -> bool:
        """Whether the status is 4xx."""
        return self.status_code // 100 == 4  # noqa: PLR2004

    @property
    def is_server_error(self) -> bool:
        """Whether the status is 5xx."""
        return self.status_code // 100 == 5  # noqa: PLR2004

    @property
    def is_error(self) -> bool:
        """Whether the status is 4xx or 5xx."""
        return self.is_client_error or self.is_server_error


@dataclass(frozen=True, repr=False)
class Response(ResponseHead):
    """One HTTP response, read completely.

    Attributes:
        status_code: The HTTP status.
        headers: The header fields that the caller may see.
        content: The body, as bytes.
        url: The URL of the response, after redirects.
        code_field: The name of the machine-readable code in an error response, or the path to it;
            empty if the server has none.
        message_field: The same for the message that is meant for people.
        request: The request as the caller made it, without our token; None for a response that no
            client received.
    """

    status_code: int
    headers: Headers = field(default_factory=Headers)
    content: bytes = b""
    url: str = ""
    code_field: str = field(default="code", compare=False)
    message_field: str = field(default="error", compare=False)
    request: Request | None = field(default=None, compare=False)

    @cached_property
    def text(self) -> str:
        """The body as text, by the response's charset, else UTF-8; never raises."""
        return self.content.decode(self.encoding, errors="replace")

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the body in chunks.

        Args:
            chunk_size: The bytes in a chunk; None for the whole body as one.

        Raises:
            ValueError: If the size is not positive.
        """
        return _chunks(self.content, chunk_size)

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """Yield the body's text in chunks.

        Args:
            chunk_size: The characters in a chunk; None for the whole text as one.

        Raises:
            ValueError: If the size is not positive.
        """
        return _chunks(self.text, chunk_size)

    def iter_lines(self) -> Iterator[str]:
        """Yield the lines of the body's text, without their ends, as ``str.splitlines`` does."""
        yield from self.text.splitlines()

    def json(self) -> Any:
        """Return the body parsed as JSON.

        Raises:
            BadReply: If the body is not JSON, or is nested too deeply.
        """
        try:
            return loads(self.content)
        except ValueError as error:
            message = "The server's response is not JSON."
            bad = BadReply(message, status_code=self.status_code, response=self)
            if "html" in self.headers.get("content-type", "").lower():
                bad.add_note(PAGE_HINT)
            raise bad from error

    @cached_property
    def code(self) -> str | None:
        """The machine-readable code of an error response, or None if it has none."""
        code = self.value_at(self.code_field)
        return code if isinstance(code, str) else None

    @cached_property
    def message(self) -> str | None:
        """The message for people in an error response, or None if it has none.

        Where codes and messages share a field, as ``detail`` in FastAPI, a single word is a code.
        """
        message = self.value_at(self.message_field)
        if not isinstance(message, str):
            return None
        is_code = self.message_field == self.code_field and len(message.split()) == 1
        return None if is_code else message

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The body's JSON object; empty if the body is anything else."""
        try:
            value = self.json()
        except BadReply:
            return {}
        return value if isinstance(value, dict) else {}

    def value_at(self, path: str) -> Any:
        """Return a value of the body's JSON object by its path, as ``data.token``, or None."""
        found: Any = self.fields if path else None
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def raise_for_status(self) -> Response:
        """Return the response itself if its status is below 400.

        Raises:
            BadReply: Otherwise, with the status, the code and the message of the response.
        """
        if self.status_code < 400:  # noqa: PLR2004 - RFC 9110, section 15
            return self
        raise BadReply(self.message, status_code=self.status_code, code=self.code, response=self)

    def __repr__(self) -> str:
        return f"<Response {self.status_code}>"


def _chunks(whole: _Text, size: int | None) -> Iterator[_Text]:
    if size is not None and (type(size) is not int or size < 1):
        raise ValueError("chunk_size is a positive whole number, or None")
    step = size or max(len(whole), 1)
    return (whole[start : start + step] for start in range(0, len(whole), step))


class UnexpiredError(Exception):
    """The base of all errors of this library; ``str(error)`` is a message for people.

    A copy that is pickled has neither request nor response: both may have the person's data.

    Attributes:
        request: The request as the caller made it, without our token; of a request for tokens only
            the method and the URL. None if the error is not about a request.
        response: The response that led to the error; None if there is none, or if it has tokens.
    """

    message = "Something went wrong."
    request: Request | None = None
    response: Response | None = None

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)

    def note_exchange(self, sent: Request, received: Response | None) -> None:
        """Note what was sent and received when it failed, without a credential.

        Args:
            sent: The request with everything that was added to it.
            received: Its response, or None if none came.
        """
        bare = Request(sent.method, sent.url)
        self.request = self.request or bare
        has_tokens = sent.sensitive and received is not None and not received.is_error
        if received is not None and self.response is None and not has_tokens:
            self.response = replace(received, request=bare)

    def note_request(self, request: Request) -> None:
        """Note the request as the caller made it."""
        self.request = request
        cause = self.__cause__
        if self.response is None and isinstance(cause, UnexpiredError):
            self.response = cause.response
        of = self.response.request if self.response else None
        if self.response and (of is None or (of.method, of.url) == (request.method, request.url)):
            self.response = replace(self.response, request=request)

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self), *self.args)
        vars(copied).update(vars(self))
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        plain = {name: value for name, value in vars(self).items() if name not in _NOT_PICKLED}
        return _rebuilt, (type(self), self.args), plain


_NOT_PICKLED = {"request", "response", "fields"}


def _rebuilt(kind: type[UnexpiredError], args: tuple[Any, ...]) -> UnexpiredError:
    """Return an error as it was pickled, whatever its constructor takes."""
    return kind.__new__(kind, *args)


class BadReply(UnexpiredError):  # noqa: N818
    """The response is not a success, or does not have the expected form.

    Attributes:
        status_code: The HTTP status of the response.
        code: The machine-readable code in the response, or None.
    """

    message = "The server sent a response that could not be used."

    def __init__(
        self,
        message: str | None = None,
        *,
        status_code: int = 0,
        code: str | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        if response is not None:
            self.response: Response | None = response
            self.request: Request | None = response.request


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip(' "')
    return "utf-8"
