"""Is a secret strong enough to sign with? Rules that give their reasons.

Only the standard library's arithmetic is used, so that a browser can run this file as it is.
"""

import base64
import binascii
import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

MINIMUM_BYTES = 32
"""An HS256 key has at least 256 bits (RFC 7518, section 3.2)."""

MINIMUM_VARIETY = 0.76
"""How much of the variety of random bytes a secret must show, from 0 to 1.

Of a million random 256-bit keys about one stays below; most sentences do.
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
    """The key that a written secret stands for: hexadecimal, base64(url), or its UTF-8 bytes."""
    for decode in (_from_hex, _from_base64):
        raw = decode(text)
        if raw:
            return raw
    return text.encode("utf-8", "surrogatepass")


def weaknesses(text: str) -> list[str]:
    """Why a written secret must not sign tokens; empty when nothing speaks against it."""
    raw = secret_bytes(text.strip())
    reasons = []
    if len(raw) < MINIMUM_BYTES:
        reasons.append(f"it has {len(raw) * 8} bits, and at least {MINIMUM_BYTES * 8} are needed")
    if _is_well_known(text) or _is_well_known(raw.decode("ascii", "replace")):
        reasons.append("it is a well-known example")
    if min(variety(raw), _spelled_variety(text.strip())) < MINIMUM_VARIETY:
        reasons.append("it has a pattern or too few different characters to be random")
    return reasons


def variety(raw: bytes) -> float:
    """How varied bytes are, compared with as many random ones: 0 (constant) to about 1."""
    if len(raw) < 2:  # noqa: PLR2004 - a single byte has no variety
        return 0.0
    # Steps between neighbours unmask sequences such as 0123456789 or abcdef, whose characters
    # are all different.
    steps = [(b - a) % 256 for a, b in pairwise(raw)]
    best = math.log2(min(len(raw), 64))
    return min(_entropy(raw), _entropy(steps)) / best * _freshness(raw)


def _spelled_variety(text: str) -> float:
    # Words without spaces also read as base64, and what they decode to looks random. The
    # spelling gives them away; of hexadecimal it says nothing.
    return 1.0 if _from_hex(text) else variety(text.encode("utf-8", "surrogatepass"))


def _entropy(values: Sequence[int]) -> float:
    total = len(values)
    return -sum(n / total * math.log2(n / total) for n in Counter(values).values())


def _freshness(raw: bytes) -> float:
    """The share of three-byte runs that occur once: one passage said twice halves it."""
    runs = Counter(raw[i : i + 3] for i in range(len(raw) - 2))
    return len(runs) / max(1, runs.total())


def _is_well_known(text: str) -> bool:
    letters = rest = "".join(c for c in text.lower() if c.isalnum())
    for phrase in WELL_KNOWN:
        rest = rest.replace(phrase, "")
    # What is left beside the phrase is all that an attacker has to guess.
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
