"""Bodies of requests, as urllib reads them: piece by piece, and counted."""

from __future__ import annotations

from collections.abc import Iterator

from unexpired.body_parts import CHUNK, PartedBody
from unexpired.content import read_body
from unexpired.messages import Body, Request


class Upload:
    """The body of one attempt to send a request.

    Attributes:
        failure: What reading a file or the caller's function raised; urllib would hide some of it.

    Args:
        request: The request.
    """

    def __init__(self, request: Request) -> None:
        self._progress = request.upload_progress
        self._body: PartedBody | bytes | None = _of_known_length(request.body)
        self.failure: Exception | None = None

    @property
    def data(self) -> Upload | bytes | None:
        """What urllib sends: bytes, an iterable of bytes, or None."""
        is_plain = isinstance(self._body, bytes) and self._progress is None
        return self._body if is_plain or self._body is None else self  # type: ignore[return-value]

    @property
    def headers(self) -> dict[str, str]:
        """The header fields that say how long the body is (RFC 9110, section 8.6)."""
        return {} if self._body is None else {"content-length": str(self._length)}

    @property
    def _length(self) -> int | None:
        return self._body.length if isinstance(self._body, PartedBody) else len(self._body or b"")

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._counted()
        except Exception as error:
            self.failure = error
            raise

    def _counted(self) -> Iterator[bytes]:
        so_far = 0
        self._report(so_far)
        for piece in _pieces(self._body or b""):
            yield piece
            so_far += len(piece)
            self._report(so_far)

    def _report(self, so_far: int) -> None:
        if self._progress is not None:
            self._progress(so_far, self._length)


def _of_known_length(body: Body) -> PartedBody | bytes | None:
    """Return the body unchanged if its length is known, else read whole.

    Not every server takes a body whose length it does not know at the beginning.
    """
    if isinstance(body, PartedBody) and body.length is not None:
        return body
    return read_body(body)


def _pieces(body: PartedBody | bytes) -> Iterator[bytes]:
    for part in [body] if isinstance(body, bytes) else body:
        for start in range(0, len(part), CHUNK):
            yield part[start : start + CHUNK]
