"""Discovery: from the name of an issuer to the address of its keys, or of another endpoint.

OpenID Connect Discovery 1.0, section 4, and RFC 8414, section 3, name the two addresses at which
an issuer describes itself. A document that does not name exactly this issuer is not used: its
keys are somebody else's (RFC 8414, section 3.3).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeGuard

from unexpired_server.tokens.documents import (
    Document,
    FetchError,
    RetryLaterError,
    WrongDocumentError,
)
from unexpired_server.tokens.issuer import is_allowed_url, issuer_parts, near_miss
from unexpired_server.tokens.strict_json import read_object

SHOWN = 200
"""Characters of another server's text that go into the log."""

logger: logging.Logger = logging.getLogger("unexpired.server")

Address = Generator[str, Document, str]
"""Yields the addresses of documents, is sent the documents, and returns the one that was sought."""


class KnownAddress:
    """The address of the keys, as it was given.

    Args:
        address: The URL.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def steps(self, *, again: bool) -> Address:  # noqa: ARG002 - there is nothing to look up
        """Return the address."""
        yield from ()
        return self._address


class Discovery:
    """An address at the issuer, as the issuer's own document names it.

    Args:
        issuer: The issuer, an https URL; for tests on one machine also http on loopback.
        now: The clock, in Unix seconds.
        member: The document's member that has the address.

    Attributes:
        fresh_for: For how many seconds the document that was read last is fresh.
        metadata: What the issuer's document says; empty until it was read.

    Raises:
        ValueError: The issuer is no such URL.
    """

    def __init__(self, issuer: str, now: Callable[[], float], member: str = "jwks_uri") -> None:
        self._issuer = issuer
        self._parts = issuer_parts(issuer)
        self._now = now
        self._member = member
        self._address: str | None = None
        self.metadata: Mapping[str, Any] = {}
        self._read_at = -math.inf
        self.fresh_for: float = 0.0

    def steps(self, *, again: bool) -> Address:
        """Return the address.

        Args:
            again: Read the issuer's document even while it is fresh.

        Raises:
            WrongDocumentError: The issuer's document cannot be used, and none was known.
            Exception: It could not be fetched, and none was known.
        """
        if again or not 0 <= self._now() - self._read_at < self.fresh_for:
            try:
                yield from self._read()
            except Exception as exc:
                if self._address is None:
                    raise
                logger.warning("keeping the known %s: %s", self._member, spoken(exc))
        if self._address is None:
            raise WrongDocumentError(f"the issuer's document names no {self._member}")
        return self._address

    def _read(self) -> Generator[str, Document]:
        """Read the issuer's document at the first of its addresses that has a good one."""
        problems: list[Exception] = []
        for address in self._addresses():
            try:
                document = yield address
                self._take(document, address)
            except RetryLaterError:
                raise
            except Exception as exc:  # noqa: BLE001 - a server may answer anything where none is
                problems.append(exc)
            else:
                self._read_at, self.fresh_for = self._now(), document.fresh_for
                return
        # A document that is wrong says more than an address that has none.
        raise next((one for one in problems if isinstance(one, WrongDocumentError)), problems[0])

    def _addresses(self) -> tuple[str, str]:
        # Both rules begin with removing the slash at the end.
        path = self._parts.path.rstrip("/")
        root = f"{self._parts.scheme}://{self._parts.netloc}"
        return (
            f"{root}{path}/.well-known/openid-configuration",
            f"{root}/.well-known/oauth-authorization-server{path}",
        )

    def _take(self, document: Document, address: str) -> None:
        try:
            metadata = read_object(document.content)
        except ValueError:
            raise WrongDocumentError(f"the document at {address} is not a JSON object") from None
        self._check_issuer(metadata.get("issuer"), address)
        named = metadata.get(self._member)
        if not self.allows(named):
            raise WrongDocumentError(
                f"the document at {address} names no https URL as its {self._member}"
            )
        self._address, self.metadata = named, metadata

    def _check_issuer(self, named: object, address: str) -> None:
        if named == self._issuer:
            return
        shown = repr(named)[:SHOWN]
        hint = near_miss(named, self._issuer)
        raise WrongDocumentError(
            f"the document at {address} is of the issuer {shown}, not of {self._issuer!r}{hint}"
        )

    def allows(self, url: object) -> TypeGuard[str]:
        """Return whether a value of the issuer's document is a URL that may be used."""
        # Only an issuer on this machine may point to this machine.
        may_be_local = self._parts.scheme == "http"
        return isinstance(url, str) and is_allowed_url(url, may_be_local=may_be_local)


def spoken(exc: Exception) -> str:
    """Return what may be logged of an exception: of other code's only the class."""
    is_ours = isinstance(exc, WrongDocumentError | FetchError | RetryLaterError)
    return str(exc) if is_ours else type(exc).__name__
