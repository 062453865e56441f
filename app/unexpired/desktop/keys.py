"""The keys of a program's sessions, each stored with its session: a handle is the key itself.

A program has no safe that uses a key without giving it away, so a copy of the stored session can be
continued elsewhere. The binding still makes tokens useless that were taken on their way: from a
log, a proxy or a dump of requests.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from unexpired.errors import Unreachable, missing_extra
from unexpired.proofs import KeyLost, base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from unexpired.ports import Prover, SyncProver

COORDINATE = 32  # bytes of P-256 (RFC 7518, sections 3.4 and 6.2.1)


class SyncProgramKey:
    """A private key on P-256.

    Args:
        private: The key.
    """

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        self._private = private

    @cached_property
    def public(self) -> Mapping[str, str]:
        """The public key as a JWK."""
        numbers = self._private.public_key().public_numbers()
        x, y = (base64url(one.to_bytes(COORDINATE, "big")) for one in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def sign(self, message: bytes) -> bytes:
        """Return the signature by ES256."""
        from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - optional
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        der = self._private.sign(message, ec.ECDSA(SHA256()))
        return b"".join(one.to_bytes(COORDINATE, "big") for one in utils.decode_dss_signature(der))


class ProgramKey:
    """``SyncProgramKey`` for the client that awaits: signing takes no time worth a thread."""

    def __init__(self, key: SyncProgramKey) -> None:
        self._key = key

    @property
    def public(self) -> Mapping[str, str]:
        """The public key as a JWK."""
        return self._key.public

    async def sign(self, message: bytes) -> bytes:
        """Return the signature by ES256."""
        return self._key.sign(message)


class SyncProgramProver:
    """Makes and reads keys; without the library ``cryptography`` sessions are bound to none."""

    def create(self) -> str | None:
        """Make a key; return its handle: the key in DER (RFC 5958), in base64url."""
        try:
            from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - optional
            from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
        except ModuleNotFoundError:
            return None
        der = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return base64url(der)

    def open(self, key: str) -> SyncProgramKey:
        """Return a key.

        Raises:
            KeyLost: If the handle is no key, as one of a page.
            Unreachable: If ``cryptography`` is not installed.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - optional
            from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
                load_der_private_key,
            )
        except ModuleNotFoundError as error:
            unreadable = Unreachable()
            unreadable.add_note(str(missing_extra(error, "a session that is bound", "desktop")))
            raise unreadable from None
        try:
            private = load_der_private_key(_decoded(key), password=None)
        except (ValueError, TypeError):
            raise KeyLost from None  # The cause may quote the key.
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise KeyLost
        return SyncProgramKey(private)

    def forget(self, key: str) -> None:
        """Do nothing: a key is stored with its session only, and is gone with it."""


class ProgramProver:
    """``SyncProgramProver`` for the client that awaits."""

    def __init__(self) -> None:
        self._prover = SyncProgramProver()

    async def create(self) -> str | None:
        """Make a key; return its handle."""
        return self._prover.create()

    async def open(self, key: str) -> ProgramKey:
        """Return a key; see ``SyncProgramProver``."""
        return ProgramKey(self._prover.open(key))

    def forget(self, key: str) -> None:
        """Do nothing: a key is stored with its session only, and is gone with it."""


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


if TYPE_CHECKING:
    _prover: type[Prover] = ProgramProver
    _sync_prover: type[SyncProver] = SyncProgramProver
