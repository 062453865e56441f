"""The public keys at a URL: fetched once for all callers, and kept while the URL is down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from typing import Protocol

from unexpired_server.tokens.discovery import Address
from unexpired_server.tokens.documents import Document, WrongDocumentError
from unexpired_server.tokens.flights import Fetch
from unexpired_server.tokens.jwk_set import KeySet, keys_in
from unexpired_server.tokens.keys import VerifyingKey
from unexpired_server.tokens.remote_value import RemoteValue


class Source(Protocol):
    """Where the address of the keys comes from."""

    def steps(self, *, again: bool) -> Address:
        """Return the address; yield those of the documents that are needed for it."""
        ...


class RemoteKeys(RemoteValue):
    """The keys at one URL, for coroutines and threads.

    Args:
        source: The URL, or how to find it.
        algorithms: The algorithms that are accepted.
        now: The clock, in Unix seconds.
        fetch: Gets a document; when None, the standard library does in a thread.
    """

    def __init__(
        self,
        source: Source,
        algorithms: Collection[str],
        now: Callable[[], float],
        fetch: Fetch | None,
    ) -> None:
        super().__init__("the public keys", now, fetch)
        self._source = source
        self._algorithms = algorithms
        self._content: bytes | None = None
        self._keys: KeySet | None = None

    @property
    def is_known(self) -> bool:
        """Whether there are keys."""
        return self._keys is not None

    def find(self, kid: object, alg: object) -> VerifyingKey | None:
        """Return the key with this id and algorithm, if the URL lists it."""
        return None if self._keys is None else self._keys.find(kid, alg)

    def read(self, *, again: bool) -> Generator[str, Document, float]:
        """Take the keys; yield the addresses that are needed, return how long they are fresh."""
        address = yield from self._source.steps(again=again)
        document = yield address
        if document.content != self._content:  # The cache of tokens holds the key objects.
            self._keys = _keys_in(document, self._algorithms)
            self._content = document.content
        return document.fresh_for


def _keys_in(document: Document, algorithms: Collection[str]) -> KeySet:
    try:
        return keys_in(document.content, algorithms)
    except ValueError:
        raise WrongDocumentError("the document is no JWK set") from None
