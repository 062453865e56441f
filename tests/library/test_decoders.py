"""Chunks, text and lines, whatever the pieces in which they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired.decoders import Chunker, LineDecoder, text_decoder

TEXTS = st.text(alphabet="ab\r\n\x0b\x0c\x1c\x85\u2028é", max_size=30)


@given(st.lists(TEXTS, max_size=8))
def test_lines_are_those_of_splitlines_wherever_the_pieces_begin(pieces: list[str]) -> None:
    decoder = LineDecoder()
    lines = [line for piece in pieces for line in decoder.feed(piece)] + decoder.end()
    assert lines == "".join(pieces).splitlines()


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(1, 7))
def test_chunks_have_the_size_asked_for_except_the_last(pieces: list[bytes], size: int) -> None:
    chunker = Chunker(size)
    chunks = [chunk for piece in pieces for chunk in chunker.feed(piece)] + chunker.end()
    assert b"".join(chunks) == b"".join(pieces)
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= size for chunk in chunks[-1:])


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8"])
def test_a_chunk_size_is_a_positive_whole_number(size: object) -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        Chunker(size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", "größe".encode(), "größe"),
        ("iso-8859-1", "größe".encode("latin-1"), "größe"),
        ("utf-16", "größe".encode("utf-16"), "größe"),
        ("utf-8", b"a\xff", "a\ufffd"),
        *((charset, b"a", "a") for charset in ("no-such", "base64", "idna", "undefined", "a\0")),
    ],
)
def test_text_is_decoded_by_its_charset_byte_by_byte(charset: str, data: bytes, text: str) -> None:
    """An unknown charset, and a codec that is none for texts, counts as UTF-8."""
    decoder = text_decoder(charset)
    pieces = [decoder.decode(bytes([byte])) for byte in data]
    assert "".join([*pieces, decoder.decode(b"", final=True)]) == text
