"""Opaque tokens: a prefix, and base64url of key id, content and a MAC over them.

A token is authentic or refused before any database work, and nothing in the database can make one.
"""

from __future__ import annotations

import hmac

from unexpired_server.tokens import base64url
from unexpired_server.tokens.key_file import KEY_ID_BYTES
from unexpired_server.tokens.keys import Key, KeyRing

MAC_BYTES = 32


class OpaqueTokens:
    """Writes tokens of one kind, and reads only those that it wrote.

    Args:
        ring: The signing keys. The MAC's key is derived from them for this purpose only, so
            that no kind of token can be made from another.
        prefix: What every token of this kind begins with.
        purpose: What the MAC's key is derived for.
        length: The length of the content in bytes.
        further: How many more bytes it may have.
    """

    def __init__(
        self, ring: KeyRing, *, prefix: str, purpose: str, length: int, further: int = 0
    ) -> None:
        self._ring = ring
        self._prefix = prefix
        self._purpose = purpose
        self._raw_length = KEY_ID_BYTES + length + MAC_BYTES
        self._raw_limit = self._raw_length + further
        self._length = len(prefix) + len(base64url.encode(bytes(self._raw_limit)))

    def write(self, content: bytes) -> str:
        """Return a token with this content, by the key that signs now."""
        key = self._ring.active
        body = bytes.fromhex(key.kid) + content
        return self._prefix + base64url.encode(body + self._mac(key, body))

    def read(self, token: str) -> bytes | None:
        """Return a token's content, or None when it is not authentic."""
        raw = self._decoded(token)
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        key = self._ring.keys.get(body[:KEY_ID_BYTES].hex())
        if key is None or not hmac.compare_digest(mac, self._mac(key, body)):
            return None
        return body[KEY_ID_BYTES:]

    def _decoded(self, token: str) -> bytes:
        if not token.startswith(self._prefix) or len(token) > self._length:
            return b""
        try:
            raw = base64url.decode(token.removeprefix(self._prefix))
        except ValueError:
            return b""
        return raw if self._raw_length <= len(raw) <= self._raw_limit else b""

    def _mac(self, key: Key, body: bytes) -> bytes:
        return hmac.digest(key.derive(self._purpose), self._prefix.encode() + body, "sha256")
