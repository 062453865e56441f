"""Bodies in parts that are read while they are sent: bytes, files, paths and a browser's blobs."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Sequence
from inspect import iscoroutinefunction
from io import TextIOBase
from pathlib import Path
from typing import IO, Any, Protocol

CHUNK = 65_536  # bytes


class Blob(Protocol):
    """A ``Blob`` or ``File`` of JavaScript, as a page sees it."""

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    @property
    def type(self) -> str:
        """The content type; empty if it is unknown."""
        ...

    def arrayBuffer(self) -> Any:  # noqa: N802 - JavaScript's name
        """Return a promise of the content."""
        ...


class FilePart:
    """A file that the caller has opened; it is sent from where it stands.

    Args:
        name: The option that the file was given as, for messages.
        file: A file opened with ``"rb"``.

    Raises:
        TypeError: If the file was opened as text.
        ValueError: If it is closed.
    """

    def __init__(self, name: str, file: IO[bytes] | TextIOBase) -> None:
        if isinstance(file, TextIOBase):
            raise TypeError(f"{name}: the file is opened as text; open it with 'rb'")
        if getattr(file, "closed", False):
            raise ValueError(f"{name}: the file is closed")
        self._name = name
        self._file = file
        self.is_replayable: bool = _is_seekable(file)
        self._start = file.tell() if self.is_replayable else 0
        self.size: int | None = _size_from(file, self._start) if self.is_replayable else None

    def __iter__(self) -> Iterator[bytes]:
        if self.is_replayable:
            self._file.seek(self._start)
        return _pieces(self._name, self._file, self.size)


class PathPart:
    """A file by its path, which is opened each time that it is sent.

    Args:
        name: The option that the path was given as, for messages.
        path: The path.

    Raises:
        OSError: If there is no such file, or it cannot be read.
    """

    is_replayable: bool = True

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        with path.open("rb") as file:
            self.size: int | None = _size_from(file, 0)

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            yield from _pieces(self._name, file, self.size)


class BlobPart:
    """A ``Blob`` or ``File`` of JavaScript, which the browser reads itself.

    Args:
        js_blob: The blob.
    """

    is_replayable: bool = True

    def __init__(self, js_blob: Any) -> None:
        self.js_blob = js_blob
        self.size: int | None = int(js_blob.size)
        self.type: str = str(getattr(js_blob, "type", ""))

    def __iter__(self) -> Iterator[bytes]:
        raise TypeError("a Blob can only be sent by the page")


Part = bytes | FilePart | PathPart | BlobPart


class PartedBody:
    """A body in parts, each of which is read when its turn comes.

    Args:
        parts: The parts, in order.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts

    @property
    def length(self) -> int | None:
        """The number of bytes; None if a part cannot tell."""
        sizes = [_size_of(part) for part in self.parts]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    @property
    def is_replayable(self) -> bool:
        """Whether all parts can be read a second time."""
        return all(isinstance(part, bytes) or part.is_replayable for part in self.parts)

    @property
    def has_blobs(self) -> bool:
        """Whether only a browser can read it."""
        return any(isinstance(part, BlobPart) for part in self.parts)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces, from the start.

        Raises:
            TypeError: If a part is a blob.
            ValueError: If a file has become shorter.
        """
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part


def is_file(value: object) -> bool:
    """Return whether this is an open file, which can be read without awaiting."""
    read = getattr(value, "read", None)
    is_async = isinstance(value, AsyncIterable) or iscoroutinefunction(read)
    return callable(read) and not is_async


def is_blob(value: Any) -> bool:
    """Return whether this is a ``Blob`` or ``File`` of JavaScript."""
    names = ("arrayBuffer", "slice", "size")
    return not isinstance(value, type) and all(hasattr(value, name) for name in names)


def part_of(name: str, value: Any) -> Part | None:
    """Return the part for a value of the caller's, or None if it is neither bytes nor a file.

    Args:
        name: The option that it was given as, for messages.
        value: Bytes, a path, an open file or a blob.

    Raises:
        TypeError: If the file was opened as text.
        ValueError: If the file is closed.
        OSError: If the path cannot be read.
    """
    if isinstance(value, Path):
        return PathPart(name, value)
    if is_file(value):
        return FilePart(name, value)
    if is_blob(value):
        return BlobPart(value)
    try:
        return memoryview(value).tobytes()
    except TypeError:
        return None


def _size_of(part: Part) -> int | None:
    return len(part) if isinstance(part, bytes) else part.size


def _is_seekable(file: Any) -> bool:
    seekable = getattr(file, "seekable", None)
    return bool(seekable()) if callable(seekable) else False


def _size_from(file: IO[bytes], start: int) -> int:
    end = file.seek(0, 2)
    file.seek(start)
    return max(end - start, 0)


def _pieces(name: str, file: IO[bytes], size: int | None) -> Iterator[bytes]:
    """Yield a file's content: as much as it had when its length was sent."""
    left = size
    while left is None or left > 0:
        piece = file.read(CHUNK if left is None else min(CHUNK, left))
        if not isinstance(piece, bytes):
            raise TypeError(f"{name}: the file gives no bytes; open it with 'rb'")
        if not piece and left:
            raise ValueError(f"{name}: the file has become shorter while it was sent")
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece
