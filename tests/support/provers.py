"""Keys for the clients' tests: real signatures, and a record of what became of each key."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from unexpired.errors import Unreachable
from unexpired.messages import Request
from unexpired.proofs import KeyLost, base64url

ES256 = ec.ECDSA(SHA256())


class FakeKey:
    """A key in memory."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.signatures: int = 0

    @property
    def public(self) -> Mapping[str, str]:
        """The public key, with a member that no proof may show."""
        numbers = self._private.public_key().public_numbers()
        x, y = (base64url(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": "PRIVATE"}

    def sign_now(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        self.signatures += 1
        r, s = decode_dss_signature(self._private.sign(message, ES256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class AsyncFakeKey(FakeKey):
    """A key for the client that awaits."""

    async def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self.sign_now(message)


class SyncFakeKey(FakeKey):
    """A key for the client that blocks."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self.sign_now(message)


@dataclass
class _Keys:
    """The keys of one device.

    Attributes:
        has_room: Whether a key can be kept.
        is_readable: Whether the keys can be read now.
        keys: The keys by handle; what is removed from here is lost.
        created: The handles of all keys that were made.
        forgotten: The handles of the keys that were forgotten, as often as they were.
    """

    has_room: bool = True
    is_readable: bool = True
    keys: dict[str, Any] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    def _keep(self, key: FakeKey) -> str | None:
        if not self.has_room:
            return None
        handle = f"HANDLE-{len(self.created) + 1}"
        self.created.append(handle)
        self.keys[handle] = key
        return handle

    def _find(self, handle: str) -> Any:
        if not self.is_readable:
            raise Unreachable
        if handle not in self.keys:
            raise KeyLost
        return self.keys[handle]

    def forget(self, key: str) -> None:
        """Remove a key, if it is still there."""
        self.forgotten.append(key)
        self.keys.pop(key, None)


class FakeProver(_Keys):
    """``Prover`` in memory."""

    async def create(self) -> str | None:
        """Make and keep a key."""
        return self._keep(AsyncFakeKey())

    async def open(self, key: str) -> AsyncFakeKey:
        """Return a key."""
        found: AsyncFakeKey = self._find(key)
        return found


class SyncFakeProver(_Keys):
    """``SyncProver`` in memory."""

    def create(self) -> str | None:
        """Make and keep a key."""
        return self._keep(SyncFakeKey())

    def open(self, key: str) -> SyncFakeKey:
        """Return a key."""
        found: SyncFakeKey = self._find(key)
        return found


@dataclass(frozen=True)
class ReadProof:
    """A proof that was verified by its own key."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def proof_of(request: Request) -> ReadProof:
    """Return the proof that a request brings."""
    return read_proof(request.headers["dpop"])


def read_proof(text: str) -> ReadProof:
    """Return a proof; raise if its signature is not by the key that it shows."""
    head, payload, signature = text.split(".")
    header, raw = json.loads(_decoded(head)), _decoded(signature)
    x, y = (int.from_bytes(_decoded(header["jwk"][name]), "big") for name in "xy")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(encode_dss_signature(r, s), f"{head}.{payload}".encode(), ES256)
    return ReadProof(header, json.loads(_decoded(payload)))


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
