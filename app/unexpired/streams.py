"""Responses whose bodies are read piece by piece, as they arrive.

A transport hands out a body; the client sets how it is read; the caller reads it, once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

from unexpired.decoders import Chunker, LineDecoder, text_decoder
from unexpired.errors import Unreachable
from unexpired.messages import Headers, Progress, Request, Response, ResponseHead
from unexpired.timers import timeout_after

PREVIEW = 65_536
"""How much of an error's body is read ahead, in bytes: its code and its message are in there."""

PREVIEW_TIMEOUT = 30.0
"""How long reading ahead may take, in seconds, also where a caller has set no limit."""

SMALL = 16_384
"""Up to this size, in bytes, a body costs less at once than piece by piece."""

STALLED = "The server stopped sending in the middle of its response. Please try again."


def is_small(headers: Headers) -> bool:
    """Return whether a body is better read at once than piece by piece."""
    length = headers.get("content-length", "")
    return length.isascii() and length.isdigit() and int(length[:10]) <= SMALL


class AsyncBody(Protocol):
    """The body of a response, as a transport receives it.

    It may have an attribute ``is_complete``: once that is true, it is not read again.
    """

    async def read(self) -> bytes:
        """Return the next piece; empty at the end.

        Raises:
            Unreachable: If the connection was lost before the end.
        """
        ...

    def close(self) -> None:
        """Abandon what has not been read; may be called more than once, and during ``read``."""
        ...


class SyncBody(Protocol):
    """``AsyncBody`` for code that blocks."""

    def read(self, timeout: float | None) -> bytes:
        """Return the next piece; empty at the end.

        Args:
            timeout: The longest wait for it, in seconds; None for no limit.

        Raises:
            Unreachable: If the connection was lost before the end, or nothing came in time.
        """
        ...

    def close(self) -> None:
        """Abandon what has not been read; may be called more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """How a client reads a body for its caller.

    Attributes:
        request: The request as the caller made it.
        silence: The longest wait for the next piece, in seconds; None for no limit.
        progress: Is called after each piece.
        name: Returns a response that knows the names of its error's code and message.
        lose: Is called with the error when the body breaks off.
    """

    request: Request | None = None
    silence: float | None = None
    progress: Progress | None = None
    name: Callable[[Response], Response] = lambda response: response
    lose: Callable[[Unreachable], None] | None = None


class _Stream(ResponseHead):
    """What both kinds of stream share: everything that does not wait."""

    def __init__(self, status_code: int, headers: Headers, url: str) -> None:
        self.status_code: int = status_code
        self.headers: Headers = headers
        self.url: str = url
        self.request: Request | None = None
        self.num_bytes_downloaded: int = 0
        self.is_closed: bool = False
        self._reading = Reading()
        self._preview: list[bytes] = []
        self._preview_left = PREVIEW
        self._whole: Response | None = None
        self._is_consumed = False
        self._is_complete = False

    def read_as(self, reading: Reading) -> None:
        """Set how the body is read; for clients."""
        self._reading = reading
        self.request = reading.request

    def raise_for_status(self) -> Self:
        """Return the stream itself if its status is below 400; needs no ``await``.

        Of an error's body, up to 64 KiB have been read when a client hands out the stream.

        Raises:
            BadReply: Otherwise, with the status, the code and the message of the response.
        """
        self.head.raise_for_status()
        return self

    @property
    def head(self) -> Response:
        """The response without its body; of an error, with the beginning of it."""
        return self._reading.name(self._previewed())

    @property
    def _total(self) -> int | None:
        """The size of the body, if it is known: an encoded one has another size when decoded."""
        length = self.headers.get("content-length", "")
        is_known = length.isascii() and length.isdigit() and "content-encoding" not in self.headers
        return int(length) if is_known else None

    def _response(self, content: bytes) -> Response:
        return Response(self.status_code, self.headers, content, self.url, request=self.request)

    def _previewed(self) -> Response:
        return self._response(b"".join(self._preview) if self.is_error else b"")

    def _begin(self) -> Iterator[bytes]:
        """Return what has been read ahead, when the reading begins.

        Raises:
            RuntimeError: If it has begun before.
        """
        if self._whole is not None:
            return iter([self._whole.content])
        if self._is_consumed:
            raise RuntimeError("the body was read before; a stream can be read once")
        self._check_open()
        self._is_consumed = True
        return iter(self._preview)

    def _take_whole(self, content: bytes) -> None:
        """Take a body that has been read already, so that nothing is waited for."""
        self._preview = [content] if content else []
        self._is_complete = True

    def _check_open(self) -> None:
        if self.is_closed and not self._is_complete:
            raise RuntimeError("the response is closed: read it inside its `with` block")

    def _count(self, piece: bytes) -> bytes:
        if self._whole is None:
            self.num_bytes_downloaded += len(piece)
            self._report_progress()
        return piece

    def _end(self) -> None:
        if not self.num_bytes_downloaded:
            self._report_progress()  # Of an empty body: it is complete.

    def _wants_more(self) -> bool:
        return self.is_error and not self._is_complete and self._preview_left > 0

    def _keep(self, piece: bytes) -> None:
        self._preview.append(piece)
        self._preview_left -= len(piece)

    def _report_progress(self) -> None:
        if self._reading.progress is not None:
            self._reading.progress(self.num_bytes_downloaded, self._total)

    def _lost(self, error: Unreachable) -> Unreachable:
        if self._reading.lose is not None:
            self._reading.lose(error)
        return error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code}>"


class AsyncResponseStream(_Stream):
    """A response whose body is read as it arrives; ``AsyncClient.stream`` yields it.

    Args:
        status_code: The HTTP status.
        headers: The header fields that the caller may see.
        body: The body, as the transport receives it.
        url: The URL of the response, after redirects.

    Attributes:
        num_bytes_downloaded: How many bytes of the body have been handed out.
        is_closed: Whether the connection is no longer needed.
    """

    def __init__(
        self, status_code: int, headers: Headers, body: AsyncBody, *, url: str = ""
    ) -> None:
        super().__init__(status_code, headers, url)
        self.body = body

    @classmethod
    def of(cls, response: Response) -> AsyncResponseStream:
        """Return a response that has been read already, as a stream of one piece."""
        body = _AsyncPiece(response.content)
        stream = cls(response.status_code, response.headers, body, url=response.url)
        stream._take_whole(response.content)
        return stream

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over the body.

        Args:
            chunk_size: The size of the chunks, in bytes; None to take them as they arrive.

        Raises:
            Unreachable: If the body breaks off, or stands still for ``timeout`` seconds.
            RuntimeError: If the body was read before, or the response is closed.
            ValueError: If the size is not a positive number.
        """
        chunker = Chunker(chunk_size)
        async for piece in self._pieces():
            for chunk in chunker.feed(piece):
                yield chunk
        for chunk in chunker.end():
            yield chunk

    async def aiter_text(self) -> AsyncIterator[str]:
        """Iterate over the body as text, by the response's charset, else UTF-8.

        Raises what ``aiter_bytes`` raises.
        """
        decoder = text_decoder(self.encoding)
        async for piece in self._pieces():
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    async def aiter_lines(self) -> AsyncIterator[str]:
        """Iterate over the lines of the text, without their ends, as ``str.splitlines`` does.

        Raises what ``aiter_bytes`` raises.
        """
        decoder = LineDecoder()
        async for text in self.aiter_text():
            for line in decoder.feed(text):
                yield line
        for line in decoder.end():
            yield line

    async def aread(self) -> Response:
        """Return the response with its whole body.

        Raises what ``aiter_bytes`` raises.
        """
        if self._whole is None:
            # Without the generator, which takes 1 to 3 µs.
            pieces = [self._count(piece) for piece in self._begin()]
            while piece := await self._next():
                pieces.append(self._count(piece))
            self._end()
            self._whole = self._reading.name(self._response(b"".join(pieces)))
        return self._whole

    async def aclose(self) -> None:
        """Close the connection, and abandon what has not been read."""
        self.abandon()

    def abandon(self) -> None:
        """Do what ``aclose`` does; needs no ``await``."""
        self.is_closed = True
        self.body.close()

    async def preview(self) -> Response:
        """Return the response for the policy: of an error, with the beginning of its body."""
        if not self._wants_more():
            return self._previewed()
        try:
            async with timeout_after(PREVIEW_TIMEOUT):
                while self._wants_more() and (piece := await self._next()):
                    self._keep(piece)
        except TimeoutError:
            raise Unreachable(STALLED) from None
        return self._previewed()

    async def _pieces(self) -> AsyncIterator[bytes]:
        for piece in self._begin():
            yield self._count(piece)
        while piece := await self._next():
            yield self._count(piece)
        self._end()

    async def _next(self) -> bytes:
        if self._is_complete:
            return b""
        self._check_open()
        try:
            async with timeout_after(self._reading.silence):
                piece = await self.body.read()
        except BaseException as error:
            self.abandon()
            if isinstance(error, TimeoutError):
                raise self._lost(Unreachable(STALLED)) from None
            if isinstance(error, Unreachable):
                self._lost(error)
            raise
        if not piece or getattr(self.body, "is_complete", False):
            self._is_complete = True
            self.abandon()
        return piece


class ResponseStream(_Stream):
    """A response whose body is read as it arrives; ``Client.stream`` yields it.

    Args:
        status_code: The HTTP status.
        headers: The header fields that the caller may see.
        body: The body, as the transport receives it.
        url: The URL of the response, after redirects.

    Attributes:
        num_bytes_downloaded: How many bytes of the body have been handed out.
        is_closed: Whether the connection is no longer needed.
    """

    def __init__(
        self, status_code: int, headers: Headers, body: SyncBody, *, url: str = ""
    ) -> None:
        super().__init__(status_code, headers, url)
        self.body = body

    @classmethod
    def of(cls, response: Response) -> ResponseStream:
        """Return a response that has been read already, as a stream of one piece."""
        body = _SyncPiece(response.content)
        stream = cls(response.status_code, response.headers, body, url=response.url)
        stream._take_whole(response.content)
        return stream

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Iterate over the body.

        Args:
            chunk_size: The size of the chunks, in bytes; None to take them as they arrive.

        Raises:
            Unreachable: If the body breaks off, or stands still for ``timeout`` seconds.
            RuntimeError: If the body was read before, or the response is closed.
            ValueError: If the size is not a positive number.
        """
        chunker = Chunker(chunk_size)
        for piece in self._pieces():
            yield from chunker.feed(piece)
        yield from chunker.end()

    def iter_text(self) -> Iterator[str]:
        """Iterate over the body as text, by the response's charset, else UTF-8.

        Raises what ``iter_bytes`` raises.
        """
        decoder = text_decoder(self.encoding)
        for piece in self._pieces():
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text

    def iter_lines(self) -> Iterator[str]:
        """Iterate over the lines of the text, without their ends, as ``str.splitlines`` does.

        Raises what ``iter_bytes`` raises.
        """
        decoder = LineDecoder()
        for text in self.iter_text():
            yield from decoder.feed(text)
        yield from decoder.end()

    def read(self) -> Response:
        """Return the response with its whole body.

        Raises what ``iter_bytes`` raises.
        """
        if self._whole is None:
            content = b"".join(self._pieces())
            self._whole = self._reading.name(self._response(content))
        return self._whole

    def close(self) -> None:
        """Close the connection, and abandon what has not been read."""
        self.is_closed = True
        self.body.close()

    def preview(self, deadline: float, monotonic: Callable[[], float]) -> Response:
        """Return the response for the policy: of an error, with the beginning of its body.

        Args:
            deadline: When to give up, in monotonic seconds.
            monotonic: Returns the monotonic time.

        Raises:
            Unreachable: If the beginning did not arrive in time.
        """
        end = min(deadline, monotonic() + PREVIEW_TIMEOUT)
        while self._wants_more() and (piece := self._next(end - monotonic())):
            self._keep(piece)
        return self._previewed()

    def _pieces(self) -> Iterator[bytes]:
        for piece in self._begin():
            yield self._count(piece)
        while piece := self._next(self._reading.silence):
            yield self._count(piece)
        self._end()

    def _next(self, timeout: float | None) -> bytes:
        if self._is_complete:
            return b""
        self._check_open()
        try:
            piece = _read_within(timeout, self.body)
        except BaseException as error:
            self.close()
            if isinstance(error, Unreachable):
                self._lost(error)
            raise
        if not piece:
            self._is_complete = True
            self.close()
        return piece


def _read_within(timeout: float | None, body: SyncBody) -> bytes:
    if timeout is not None and timeout <= 0:
        raise Unreachable(STALLED)
    return body.read(timeout)


class _SyncPiece:
    """The body of a response that has been read already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, timeout: float | None) -> bytes:  # noqa: ARG002 - the contract of a body
        content, self._content = self._content, b""
        return content

    def close(self) -> None:
        pass


class _AsyncPiece:
    """``_SyncPiece`` for code that awaits."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self) -> bytes:
        content, self._content = self._content, b""
        return content

    def close(self) -> None:
        pass
