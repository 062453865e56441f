"""Keys of which one half is public: ECDSA, Ed25519 and RSA.

The only module that imports ``cryptography``. It is imported only where there is such a key: HS256
needs Python's own ``hmac``, and there is no build of ``cryptography`` for a Python in a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from unexpired_server.tokens import base64url

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES: dict[str, tuple[str, ec.EllipticCurve]] = {
    "P-256": ("ES256", ec.SECP256R1()),
    "P-384": ("ES384", ec.SECP384R1()),
    "P-521": ("ES512", ec.SECP521R1()),
}

RSA_EXPONENTS = range(3, 1 << 32)
RSA_BITS = range(2048, 8193)
"""Smaller keys can be broken (RFC 7518, section 3.3); larger ones only cost time."""

ED25519_LENGTH = 32
ED25519_PRIME = 2**255 - 19
SMALL_ORDER = frozenset(
    {
        0,
        1,
        ED25519_PRIME - 1,
        ED25519_PRIME,
        ED25519_PRIME + 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7,
    }
)
"""The y coordinates of points of small order: for such a key anyone can make signatures."""

ECDSA_SHA256 = ECDSA(SHA256())
NUMBER_BYTES = 32
"""An ES256 signature is two numbers of so many bytes (RFC 7518, section 3.4)."""

DER_INTEGER = (b"\x02\x20", b"\x02\x21\x00")
"""How an integer of so many bytes begins in DER: one whose first bit is set gets a zero."""

DER_SEQUENCE = {length: bytes((0x30, length)) for length in range(68, 71)}
"""How a sequence of two such integers begins, by the length of both."""


def load(secret: bytes) -> Any:
    """Return the private key in a PKCS 8 document.

    Raises:
        ValueError: It is not one.
    """
    return load_der_private_key(secret, None)


def new_private(alg: str) -> str:
    """Return a new private key of EdDSA or ES256, as PKCS 8 in base64url."""
    key = (
        ed25519.Ed25519PrivateKey.generate()
        if alg == "EdDSA"
        else ec.generate_private_key(ec.SECP256R1())
    )
    raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64url.encode(raw)


def _verifies_eddsa(message: bytes, material: Any, signature: bytes) -> bool:
    # PyJWT looks at the types of all three first.
    try:
        material.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _verifies_es256(message: bytes, material: Any, signature: bytes) -> bool:
    # PyJWT converts by way of hexadecimal, and prepares the hash each time: 3 µs of 51.
    if len(signature) != 2 * NUMBER_BYTES:
        return False
    try:
        material.verify(as_der(signature), message, ECDSA_SHA256)
    except InvalidSignature:
        return False
    return True


def as_der(signature: bytes) -> bytes:
    """Return an ES256 signature as OpenSSL takes it: a sequence of two integers in DER."""
    first, second = signature[:NUMBER_BYTES], signature[NUMBER_BYTES:]
    # All but one of 128 signatures are the numbers as they are, in 0.3 µs in place of 0.9.
    if first[0] and second[0]:
        integers = DER_INTEGER[first[0] >> 7] + first + DER_INTEGER[second[0] >> 7] + second
        return DER_SEQUENCE[len(integers)] + integers
    return encode_dss_signature(int.from_bytes(first, "big"), int.from_bytes(second, "big"))


VERIFIES: dict[str, Callable[[bytes, Any, bytes], bool]] = {
    "ES256": _verifies_es256,
    "EdDSA": _verifies_eddsa,
}
"""Where PyJWT takes longer than the primitive needs; it verifies all others."""


def signer(alg: str, material: Any) -> Callable[[bytes], bytes]:
    """Return what signs a message with a private key."""
    # A function, whose repr does not contain the key as that of a `partial` does.
    if alg == "ES256":
        return lambda message: _signed_es256(message, material)
    sign: Callable[[bytes], bytes] = material.sign
    return sign


def _signed_es256(message: bytes, material: Any) -> bytes:
    # As in verifying: 1.5 µs of 18.
    r, s = decode_dss_signature(material.sign(message, ECDSA_SHA256))
    return r.to_bytes(NUMBER_BYTES, "big") + s.to_bytes(NUMBER_BYTES, "big")


def _rsa(jwk: dict[str, Any]) -> tuple[Collection[str], PublicKey]:
    n, e = _number(jwk["n"]), _number(jwk["e"])
    if n.bit_length() not in RSA_BITS or e not in RSA_EXPONENTS:
        raise ValueError("an RSA key of another size")
    return RSA_ALGORITHMS, rsa.RSAPublicNumbers(e, n).public_key()


def _elliptic(jwk: dict[str, Any]) -> tuple[Collection[str], PublicKey]:
    return (CURVES[jwk["crv"]][0],), elliptic_key(jwk)


def elliptic_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """Return the public key of a JWK on a curve (RFC 7518, section 6.2).

    Raises:
        KeyError: The curve is not one of ours, or a member is missing.
        TypeError: A member is no text.
        ValueError: A coordinate is not canonical, or the point is not on the curve.
    """
    _, curve = CURVES[jwk["crv"]]
    raw_x, raw_y = base64url.decode(jwk["x"]), base64url.decode(jwk["y"])
    # Each is as long as the field, leading zeros included (RFC 7518, section 6.2.1.2).
    if {len(raw_x), len(raw_y)} != {(curve.key_size + 7) // 8}:
        raise ValueError("coordinates of another length")
    x, y = int.from_bytes(raw_x, "big"), int.from_bytes(raw_y, "big")
    # It refuses a point that is not on the curve.
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def _edwards(jwk: dict[str, Any]) -> tuple[Collection[str], PublicKey]:
    raw = base64url.decode(jwk["x"])
    if jwk["crv"] != "Ed25519" or len(raw) != ED25519_LENGTH:
        raise ValueError("another curve or length")
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= ED25519_PRIME or y in SMALL_ORDER:
        raise ValueError("not a point that only one key has")
    return ("EdDSA",), ed25519.Ed25519PublicKey.from_public_bytes(raw)


def _number(text: str) -> int:
    raw = base64url.decode(text)
    if not raw or raw[0] == 0:
        raise ValueError("not the shortest form of a number")  # RFC 7518, section 2
    return int.from_bytes(raw, "big")


READERS: dict[str, Callable[[dict[str, Any]], tuple[Collection[str], PublicKey]]] = {
    "RSA": _rsa,
    "EC": _elliptic,
    "OKP": _edwards,
}
"""By the ``kty`` of a JWK: its algorithms, and its key as PyJWT takes it."""
