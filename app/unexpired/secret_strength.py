"""Whether a secret is strong enough to sign tokens with, and the reasons if it is not.

It uses only the standard library, so that a browser can run this file unchanged.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

MINIMUM_BYTES = 32
"""An HS256 key has at least 256 bits (RFC 7518, section 3.2)."""

MINIMUM_ENTROPY_RATIO = 0.76
"""The lowest entropy ratio of an acceptable secret, from 0 to 1.

Of a million random 256-bit keys about one is below it; most sentences are.
"""

WELL_KNOWN = (
    "astringsecretatleast256bitslong",
    "yoursecretkey",
    "your256bitsecret",
    "your384bitsecret",
    "your512bitsecret",
    "supersecret",
    "supersecretkey",
    "topsecret",
    "mysecretkey",
    "mysecret",
    "jwtsecret",
    "jwtsecretkey",
    "secretkey",
    "secret",
    "changeme",
    "changethis",
    "changeit",
    "password",
    "passw0rd",
    "letmein",
    "qwerty",
    "example",
    "default",
    "insecure",
    "development",
    "notsosecret",
    "keyboardcat",
    "shhhhh",
)
"""Secrets from tutorials and templates, in lower case and without punctuation."""


def secret_bytes(text: str) -> bytes:
    """Return the key that a text stands for: hexadecimal, base64(url), or its UTF-8 bytes."""
    for decode in (_from_hex, _from_base64):
        raw = decode(text)
        if raw:
            return raw
    return text.encode("utf-8", "surrogatepass")


def weaknesses(text: str) -> list[str]:
    """Return the reasons why a secret must not sign tokens; empty if it is strong enough."""
    raw = secret_bytes(text.strip())
    reasons = []
    if len(raw) < MINIMUM_BYTES:
        reasons.append(f"it has {len(raw) * 8} bits, and at least {MINIMUM_BYTES * 8} are needed")
    if _is_well_known(text) or _is_well_known(raw.decode("ascii", "replace")):
        reasons.append("it is a well-known example")
    if min(entropy_ratio(raw), _text_entropy_ratio(text.strip())) < MINIMUM_ENTROPY_RATIO:
        reasons.append("it has a pattern or too few different characters to be random")
    return reasons


def entropy_ratio(raw: bytes) -> float:
    """Return the entropy of bytes relative to random ones: 0 (constant) to about 1."""
    if len(raw) < 2:  # noqa: PLR2004 - a single byte has no entropy
        return 0.0
    # The differences between neighbours reveal sequences such as 0123456789 or abcdef, whose
    # characters are all different.
    steps = [(b - a) % 256 for a, b in pairwise(raw)]
    best = math.log2(min(len(raw), 64))
    return min(_entropy(raw), _entropy(steps)) / best * _unrepeated_ratio(raw)


def _text_entropy_ratio(text: str) -> float:
    # Words without spaces are valid base64 too, and decode to bytes that look random. The text
    # reveals them; the text of a hexadecimal key says nothing.
    return 1.0 if _from_hex(text) else entropy_ratio(text.encode("utf-8", "surrogatepass"))


def _entropy(values: Sequence[int]) -> float:
    total = len(values)
    return -sum(n / total * math.log2(n / total) for n in Counter(values).values())


def _unrepeated_ratio(raw: bytes) -> float:
    """Return the share of different three-byte runs: a text that is repeated once has half."""
    runs = Counter(raw[i : i + 3] for i in range(len(raw) - 2))
    return len(runs) / max(1, runs.total())


def _is_well_known(text: str) -> bool:
    letters = rest = "".join(c for c in text.lower() if c.isalnum())
    for phrase in WELL_KNOWN:
        rest = rest.replace(phrase, "")
    # The characters besides the phrase are all that an attacker has to guess.
    return rest != letters and len(rest) < MINIMUM_BYTES // 2


def _from_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if text.isalnum() else None
    except ValueError:
        return None


def _from_base64(text: str) -> bytes | None:
    standard = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
