"""From the pieces in which a body arrives to chunks, text and lines. Pure."""

from __future__ import annotations

import codecs

# Where ``str.splitlines`` breaks a line; see its documentation.
LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


class Chunker:
    """Cuts bytes into chunks of one size; the last one may be shorter.

    Args:
        size: The size of a chunk, in bytes; None to keep the pieces as they arrive.

    Raises:
        ValueError: If the size is not a positive whole number.
    """

    def __init__(self, size: int | None) -> None:
        if size is not None and (type(size) is not int or size < 1):
            raise ValueError("chunk_size is a positive number of bytes, or None")
        self._size = size
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the chunks that are complete with this piece."""
        if self._size is None:
            return [piece]
        self._rest += piece
        chunks = []
        while len(self._rest) >= self._size:
            chunks.append(bytes(self._rest[: self._size]))
            del self._rest[: self._size]
        return chunks

    def end(self) -> list[bytes]:
        """Return what is left."""
        return [bytes(self._rest)] if self._rest else []


def text_decoder(charset: str) -> codecs.IncrementalDecoder:
    """Return a decoder for a charset; for UTF-8 if Python does not know it. It never raises.

    Python has codecs that are none for texts, such as ``base64``.
    """
    try:
        b"a".decode(charset, "replace")
        return codecs.getincrementaldecoder(charset)("replace")
    except (LookupError, ValueError):
        return codecs.getincrementaldecoder("utf-8")("replace")


class LineDecoder:
    """Splits text into lines as ``str.splitlines`` does, wherever its pieces begin and end.

    httpx splits lines in the same way.
    """

    def __init__(self) -> None:
        self._line: list[str] = []  # The pieces of a line whose end has not arrived.
        self._carriage_return = ""  # It may be the first half of \r\n.

    def feed(self, text: str) -> list[str]:
        """Return the lines that are complete with this text, without their ends."""
        text = self._carriage_return + text
        self._carriage_return = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r")
        lines = text.splitlines()
        if not lines:
            return []
        is_complete = text[-1] in LINE_ENDS
        if len(lines) == 1 and not is_complete:
            self._line += lines
            return []
        lines[0] = "".join([*self._line, lines[0]])
        self._line = [] if is_complete else [lines.pop()]
        return lines

    def end(self) -> list[str]:
        """Return the last line, if it has no end."""
        return ["".join(self._line)] if self._line or self._carriage_return else []
