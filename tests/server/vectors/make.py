"""Make the vectors beside this file: ``python -m tests.server.vectors.make``.

They are of our own making, in the manner of Wycheproof: each is one token or JWK set with what a
verifier must do with it, and why. Every run makes the same files. The keys are no secrets.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = Path(__file__).parent
NOW = 1_800_000_000
VALID, INVALID, UNAVAILABLE = "valid", "TokenInvalid", "Unavailable"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
ED25519_PRIME = 2**255 - 19

Case = dict[str, Any]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value: int, length: int | None = None) -> str:
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8 or 1, "big"))


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def claims(**changes: Any) -> dict[str, Any]:
    good = {"iss": "unexpired", "aud": "unexpired", "sub": "ada", "sid": "1", "jti": "j"}
    return {**good, "iat": NOW, "exp": NOW + 900, **changes}


def header(alg: str, kid: str = "one", **changes: Any) -> dict[str, Any]:
    return {"alg": alg, "kid": kid, "typ": "at+jwt", **changes}


def message(alg: str, kid: str = "one", **changed_claims: Any) -> str:
    return f"{b64(compact(header(alg, kid)))}.{b64(compact(claims(**changed_claims)))}"


def each(changes: dict[str, dict[str, Any]]) -> Iterable[tuple[str, dict[str, Any]]]:
    return changes.items()


def case(name: str, comment: str, expected: str, **what: Any) -> Case:
    return {"name": name, "comment": comment, "expected": expected, **what}


# -- Keys ------------------------------------------------------------------------------------------


def seed(name: str, length: int = 32) -> bytes:
    return hashlib.shake_256(name.encode()).digest(length)


HMAC_KEY = seed("hmac")
P256 = ec.derive_private_key(int.from_bytes(seed("p256"), "big") >> 1, ec.SECP256R1())
P384 = ec.derive_private_key(int.from_bytes(seed("p384", 47), "big"), ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.from_private_bytes(seed("ed25519"))


def primes(name: str, bits: int) -> Iterator[int]:
    candidate = int.from_bytes(seed(name, bits // 8), "big") | 3 << bits - 2 | 1
    while True:
        if all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5, 7)):
            yield candidate
        candidate += 2


def rsa_key(name: str, bits: int, e: int = 65537) -> tuple[int, int, int]:
    """Return n, e and d."""
    for p, q in zip(primes(f"{name} p", bits // 2), primes(f"{name} q", bits // 2), strict=True):
        totient = (p - 1) * (q - 1)
        if totient % e:
            return p * q, e, pow(e, -1, totient)
    raise AssertionError


N, E, D = rsa_key("rsa", 2048)


def ec_jwk(key: ec.EllipticCurvePrivateKey, **changes: Any) -> dict[str, Any]:
    public, length = key.public_key().public_numbers(), (key.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384"}[key.key_size]
    x, y = number(public.x, length), number(public.y, length)
    return without_none({"kty": "EC", "kid": "one", "crv": curve, "x": x, "y": y, **changes})


def ed_jwk(**changes: Any) -> dict[str, Any]:
    raw = ED.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return without_none({"kty": "OKP", "kid": "one", "crv": "Ed25519", "x": b64(raw), **changes})


def rsa_jwk(**changes: Any) -> dict[str, Any]:
    return without_none({"kty": "RSA", "kid": "one", "n": number(N), "e": number(E), **changes})


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


# -- Signatures ------------------------------------------------------------------------------------


def hs256(text: str, key: bytes = HMAC_KEY, digest: str = "sha256") -> bytes:
    return hmac.digest(key, text.encode(), digest)


def ecdsa(text: str, key: ec.EllipticCurvePrivateKey = P256) -> tuple[int, int]:
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    return decode_dss_signature(key.sign(text.encode(), algorithm))


def raw(r: int, s: int, length: int = 32) -> bytes:
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


def es256_token(text: str) -> str:
    return f"{text}.{b64(raw(*ecdsa(text)))}"


SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def pkcs1(text: str, info: bytes = SHA256_INFO, tail: bytes = b"", pad: int | None = None) -> bytes:
    content = info + hashlib.sha256(text.encode()).digest() + tail
    padding = b"\xff" * (256 - 3 - len(content) if pad is None else pad)
    return (b"\x00\x01" + padding + b"\x00" + content).ljust(256, b"\x00")


def power(encoded: bytes, d: int = D, n: int = N) -> bytes:
    length = (n.bit_length() + 7) // 8
    return pow(int.from_bytes(encoded, "big"), d, n).to_bytes(length, "big")


def mgf1(start: bytes, length: int) -> bytes:
    blocks = (hashlib.sha256(start + i.to_bytes(4, "big")).digest() for i in itertools.count())
    return b"".join(itertools.islice(blocks, length // 32 + 1))[:length]


def pss(text: str, salt: bytes, trailer: int = 0xBC) -> bytes:
    """Encode as RFC 8017, section 9.1.1, says, for a modulus of 2048 bits."""
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(text.encode()).digest() + salt).digest()
    block = (b"\x01" + salt).rjust(256 - 32 - 1, b"\x00")
    masked = bytearray(a ^ b for a, b in zip(block, mgf1(digest, len(block)), strict=True))
    masked[0] &= 0x7F
    return bytes(masked) + digest + bytes([trailer])


# -- Files -----------------------------------------------------------------------------------------


def es256_cases() -> Iterator[Case]:
    text = message("ES256")
    r, s = ecdsa(text)

    def one(name: str, comment: str, expected: str, signature: bytes, signed: str = text) -> Case:
        return case(name, comment, expected, token=f"{signed}.{b64(signature)}")

    yield one("valid", "as RFC 7518, 3.4, says", VALID, raw(r, s))
    yield one(
        "other s", "n - s verifies as well: JWS has no rule of low s", VALID, raw(r, P256_ORDER - s)
    )
    for name, a, b in (
        ("r = 0", 0, s), ("s = 0", r, 0), ("r = s = 0", 0, 0), ("r = n", P256_ORDER, s),
        ("s = n", r, P256_ORDER), ("r > n", 2**256 - 1, s), ("s > n", r, 2**256 - 1),
        ("r = 1", 1, s), ("s = 1", r, 1), ("r = s = 1", 1, 1), ("r and s swapped", s, r),
        ("r = n - r", P256_ORDER - r, s), ("r = n and s = 0", P256_ORDER, 0),
    ):  # fmt: skip
        yield one(name, "not in range, or another signature", INVALID, raw(a, b))
    yield one("DER", "what OpenSSL writes is not what JWS has", INVALID, encode_dss_signature(r, s))
    yield one("63 bytes", "the last is missing", INVALID, raw(r, s)[:-1])
    yield one("65 bytes", "one more", INVALID, raw(r, s) + b"\x00")
    yield one("padded to 96 bytes", "the length of P-384", INVALID, raw(r, s, 48))
    yield one("halves of 33 bytes", "leading zeros of an ASN.1 integer", INVALID, raw(r, s, 33))
    yield one("only r", "half of it", INVALID, raw(r, s)[:32])
    yield one("for another message", "another jti", INVALID, raw(r, s), message("ES256", jti="k"))
    short = next(
        (signed, pair)
        for i in itertools.count()
        if (pair := ecdsa(signed := message("ES256", jti=f"r{i}")))[0] < 2**248
    )
    yield one("leading zero of r", "one in 256 has it", VALID, raw(*short[1]), short[0])
    yield one(
        "leading zero of r left out", "not the fixed length", INVALID, raw(*short[1])[1:], short[0]
    )
    short = next(
        (signed, pair)
        for i in itertools.count()
        if (pair := ecdsa(signed := message("ES256", jti=f"s{i}")))[1] < 2**248
    )
    yield one("leading zero of s", "one in 256 has it", VALID, raw(*short[1]), short[0])
    low = raw(*short[1])
    yield one(
        "leading zero of s left out", "not the fixed length", INVALID, low[:32] + low[33:], short[0]
    )
    secret = compact(ec_jwk(P256))
    confused = message("HS256")
    yield one(
        "HMAC with the public key",
        "the key's algorithm counts",
        INVALID,
        hs256(confused, secret),
        confused,
    )
    pem = P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield one(
        "HMAC with the public key as PEM",
        "the key's algorithm counts",
        INVALID,
        hs256(confused, pem),
        confused,
    )
    longer = message("ES384")
    yield one("ES384 of the same key", "the curve decides", INVALID, raw(*ecdsa(longer)), longer)


def eddsa_cases() -> Iterator[Case]:
    text = message("EdDSA")
    good = ED.sign(text.encode())
    point, s = good[:32], int.from_bytes(good[32:], "little")

    def one(name: str, comment: str, expected: str, signature: bytes) -> Case:
        return case(name, comment, expected, token=f"{text}.{b64(signature)}")

    def with_s(value: int) -> bytes:
        return point + value.to_bytes(32, "little")

    yield one("valid", "as RFC 8037 says", VALID, good)
    yield one(
        "s + L",
        "the same s in another spelling (RFC 8032, 5.1.7)",
        INVALID,
        with_s(s + ED25519_ORDER),
    )
    yield one("s + 8 L", "the same s in another spelling", INVALID, with_s(s + 8 * ED25519_ORDER))
    yield one("s = 0", "another signature", INVALID, with_s(0))
    yield one("s = L", "not below the order", INVALID, with_s(ED25519_ORDER))
    yield one("s with its highest bit", "not below the order", INVALID, with_s(s | 1 << 255))
    yield one("all zeros", "R of order 4, s = 0", INVALID, bytes(64))
    yield one(
        "R = identity and s = 0",
        "a point of small order",
        INVALID,
        (1).to_bytes(32, "little") + bytes(32),
    )
    yield one(
        "R not canonical",
        "y = p + 1",
        INVALID,
        (ED25519_PRIME + 1).to_bytes(32, "little") + good[32:],
    )
    yield one(
        "R with the other sign",
        "another point",
        INVALID,
        good[:31] + bytes([good[31] ^ 0x80]) + good[32:],
    )
    yield one("halves swapped", "s before R", INVALID, good[32:] + point)
    yield one("63 bytes", "the last is missing", INVALID, good[:-1])
    yield one("65 bytes", "one more", INVALID, good + b"\x00")
    yield one("114 bytes", "the length of Ed448", INVALID, good.ljust(114, b"\x00"))
    yield one("one bit of R", "a flipped bit", INVALID, bytes([good[0] ^ 1]) + good[1:])


def rsa_cases() -> Iterator[Case]:
    text, other = message("RS256"), message("PS256")

    def one(name: str, comment: str, expected: str, signature: bytes, signed: str = text) -> Case:
        return case(name, comment, expected, token=f"{signed}.{b64(signature)}")

    good, salt = power(pkcs1(text)), seed("salt")
    yield one("valid RS256", "as RFC 8017, 8.2, says", VALID, good)
    yield one("valid PS256", "as RFC 8017, 8.1, says", VALID, power(pss(other, salt)), other)
    without_null = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"
    yield one(
        "DigestInfo without NULL",
        "only one encoding is right",
        INVALID,
        power(pkcs1(text, without_null)),
    )
    yield one(
        "DigestInfo in BER",
        "a length in the long form",
        INVALID,
        power(pkcs1(text, bytes.fromhex("308131300d060960864801650304020105000420"))),
    )
    yield one(
        "another hash in DigestInfo",
        "SHA-512's OID",
        INVALID,
        power(pkcs1(text, bytes.fromhex("3031300d060960864801650304020305000420"))),
    )
    yield one("no DigestInfo", "only the hash", INVALID, power(pkcs1(text, b"")))
    yield one(
        "text behind the hash",
        "Bleichenbacher's forgery of 2006",
        INVALID,
        power(pkcs1(text, tail=b"x" * 100)),
    )
    yield one("short padding", "zeros behind the hash", INVALID, power(pkcs1(text, pad=8)))
    yield one("block type 2", "that of encryption", INVALID, power(b"\x00\x02" + pkcs1(text)[2:]))
    yield one(
        "first byte 1", "not below the modulus' form", INVALID, power(b"\x01\x01" + pkcs1(text)[2:])
    )
    yield one("255 bytes", "the last is missing", INVALID, good[:-1])
    yield one("257 bytes", "a leading zero", INVALID, b"\x00" + good)
    yield one("empty integer", "one byte", INVALID, b"\x00")
    for name, value in (("0", 0), ("1", 1), ("n - 1", N - 1), ("n", N)):
        yield one(
            f"signature = {name}", "a fixed point of the power", INVALID, value.to_bytes(256, "big")
        )
    negated = N - int.from_bytes(good, "big")
    yield one("n - signature", "the negative power", INVALID, negated.to_bytes(256, "big"))
    for name, bad_salt in (("none", b""), ("20 bytes", seed("salt", 20)),
                           ("64 bytes", seed("salt", 64))):  # fmt: skip
        yield one(
            f"PSS with a salt of {name}",
            "as long as the hash (RFC 7518, 3.5)",
            INVALID,
            power(pss(other, bad_salt)),
            other,
        )
    yield one(
        "PSS with another trailer",
        "0xCC is another scheme",
        INVALID,
        power(pss(other, salt, 0xCC)),
        other,
    )
    yield one(
        "PS256 said to be RS256",
        "the algorithm is signed, and decides",
        INVALID,
        power(pss(text, salt)),
    )
    yield one(
        "RS256 said to be PS256",
        "the algorithm is signed, and decides",
        INVALID,
        power(pkcs1(other)),
        other,
    )


@cache
def signed_tokens() -> dict[str, str]:
    """A good token for each kind of key."""
    edwards, pkcs = message("EdDSA"), message("RS256")
    return {
        "EC": es256_token(message("ES256")),
        "OKP": f"{edwards}.{b64(ED.sign(edwards.encode()))}",
        "RSA": f"{pkcs}.{b64(power(pkcs1(pkcs)))}",
    }


@cache
def beside() -> tuple[str, str]:
    """A key that is good, and a token of it."""
    return json.dumps(ec_jwk(P256, kid="good")), es256_token(message("ES256", "good"))


def of_set(name: str, comment: str, expected: str, key: object, kind: str = "EC") -> Case:
    """A set of one key and a good one: a bad key must not take the good one along."""
    good, its_token = beside()
    text = key if isinstance(key, str) else json.dumps(key)
    document, token = f'{{"keys": [{text}, {good}]}}', signed_tokens()[kind]
    return case(name, comment, expected, document=document, token=token, beside=its_token)


def jwk_set_cases() -> Iterator[Case]:
    yield from metadata_cases()
    yield from point_cases()
    yield from private_cases()
    yield from rsa_key_cases()
    yield from edwards_key_cases()
    yield from document_cases()


def metadata_cases() -> Iterator[Case]:
    one = of_set
    yield one("EC", "good, without alg", VALID, ec_jwk(P256))
    yield one("OKP", "good, without alg", VALID, ed_jwk(), "OKP")
    yield one("RSA", "good, without alg", VALID, rsa_jwk(), "RSA")
    yield one(
        "unknown members",
        "are ignored (RFC 7517, 4)",
        VALID,
        ec_jwk(P256, x5t="x", exp=1, other={"a": [1]}),
    )
    yield one("x5c", "certificates are not looked at", VALID, ec_jwk(P256, x5c=["AAAA"]))
    yield one(
        "use: sig and key_ops", "for signatures", VALID, ec_jwk(P256, use="sig", key_ops=["verify"])
    )
    for name, changes in each({
        "use: enc": {"use": "enc"}, "use: a number": {"use": 1}, "key_ops: none": {"key_ops": []},
        "key_ops: encrypt": {"key_ops": ["encrypt"]}, "key_ops: a text": {"key_ops": "verify"},
    }):  # fmt: skip
        yield one(name, "not a key for verification", INVALID, ec_jwk(P256, **changes))
    for name, changes in each({
        "alg of another curve": {"alg": "ES384"}, "alg HS256": {"alg": "HS256"},
        "alg none": {"alg": "none"}, "alg a number": {"alg": 1}, "alg RS256": {"alg": "RS256"},
        "alg null": {"alg": None}, "alg empty": {"alg": ""},
    }):  # fmt: skip
        if changes["alg"] is not None:
            yield one(name, "the key is not for this algorithm", INVALID, ec_jwk(P256, **changes))
    yield one("alg is null", "null is no algorithm", INVALID, {**ec_jwk(P256), "alg": None})
    for name, changes in each({
        "kid missing": {"kid": None}, "kid a number": {"kid": 1}, "kid empty": {"kid": ""},
        "kid a list": {"kid": ["one"]}, "kid of other case": {"kid": "ONE"},
    }):  # fmt: skip
        yield one(name, "the token names another key", INVALID, ec_jwk(P256, **changes))


def point_cases() -> Iterator[Case]:
    one, public = of_set, P256.public_key().public_numbers()
    x, y = number(public.x, 32), number(public.y, 32)
    for name, changes in each({
        "x missing": {"x": None}, "y missing": {"y": None}, "crv missing": {"crv": None},
        "kty missing": {"kty": None}, "crv unknown": {"crv": "P-999"},
        "crv of another length": {"crv": "P-384"}, "crv secp256k1": {"crv": "secp256k1"},
        "crv a list": {"crv": ["P-256"]},
        "kty lower case": {"kty": "ec"}, "kty oct": {"kty": "oct"},
        "x a number": {"x": public.x}, "x empty": {"x": ""}, "x with padding": {"x": x + "="},
        "x in plain base64": {"x": "+" + x[1:]}, "x with a space": {"x": f" {x}"},
        "x with unused bits": {"x": x[:-1] + chr(ord(x[-1]) + 1)},
        "x shorter": {"x": number(public.x >> 8, 31)}, "x longer": {"x": number(public.x, 33)},
        "x huge": {"x": "A" * 50_000}, "point not on the curve": {"x": y, "y": x},
        "point at infinity": {"x": number(0, 32), "y": number(0, 32)},
        "coordinate not below the prime": {"x": b64(b"\xff" * 32)},
        "coordinates swapped into a number": {"y": 0},
    }):  # fmt: skip
        yield one(name, "not a key", INVALID, ec_jwk(P256, **changes))


def private_cases() -> Iterator[Case]:
    one = of_set
    yield one(
        "private EC",
        "a published private key proves nothing",
        INVALID,
        ec_jwk(P256, d=number(P256.private_numbers().private_value, 32)),
    )
    yield one(
        "private RSA",
        "a published private key proves nothing",
        INVALID,
        rsa_jwk(d=number(D)),
        "RSA",
    )
    yield one(
        "private OKP",
        "a published private key proves nothing",
        INVALID,
        ed_jwk(d=b64(seed("ed25519"))),
        "OKP",
    )
    yield one(
        "oct", "a published secret", INVALID, {"kty": "oct", "kid": "one", "k": b64(HMAC_KEY)}
    )


def rsa_key_cases() -> Iterator[Case]:
    one = of_set
    even = (N - 1).to_bytes(256, "big")
    small, small_e, small_d = rsa_key("small", 1024)
    text = message("RS256")
    encoded = pkcs1(text, pad=128 - 3 - 51)[:128]
    yield {
        **one("RSA n of 1024 bits", "can be factored; its signature is right", INVALID,
              rsa_jwk(n=number(small), e=number(small_e)), "RSA"),
        "token": f"{text}.{b64(power(encoded, small_d, small))}",
    }  # fmt: skip
    for name, changes in each({
        "n missing": {"n": None}, "e missing": {"e": None}, "n empty": {"n": ""},
        "n even": {"n": b64(even)}, "n with a leading zero": {"n": number(N, 257)},
        "n with padding": {"n": number(N) + "=="}, "n a number": {"n": 5},
        "n of 16384 bits": {"n": b64(b"\xff" * 2048)}, "n huge": {"n": "A" * 40_000},
        "e = 1": {"e": number(1)}, "e = 0": {"e": number(0)}, "e even": {"e": number(65536)},
        "e huge": {"e": number((1 << 2000) + 1)}, "e = n": {"e": number(N)},
        "e with a leading zero": {"e": number(E, 4)}, "kty EC": {"kty": "EC"},
    }):  # fmt: skip
        yield one(
            f"RSA {name}",
            "not a key, or one that is weak or slow",
            INVALID,
            rsa_jwk(**changes),
            "RSA",
        )


def edwards_key_cases() -> Iterator[Case]:
    one = of_set
    order_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    for y_of in (0, 1, ED25519_PRIME - 1, ED25519_PRIME, ED25519_PRIME + 1, order_8,
                 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7):  # fmt: skip
        for sign in (0, 1 << 255):
            small_point = b64((y_of | sign).to_bytes(32, "little"))
            yield {
                **one(f"OKP of small order {y_of:x}{'-' if sign else ''}",
                      "anyone can sign for it", INVALID, ed_jwk(x=small_point)),
                "token": f"{message('EdDSA')}.{b64((1).to_bytes(32, 'little') + bytes(32))}",
            }  # fmt: skip
    for name, changes in each({
        "Ed448": {"crv": "Ed448"}, "X25519": {"crv": "X25519"},
        "31 bytes": {"x": b64(seed("x", 31))},
        "33 bytes": {"x": b64(seed("x", 33))}, "x missing": {"x": None}, "x null": {"x": 0},
        "not a point": {"x": b64(b"\x02" + bytes(31))},
    }):  # fmt: skip
        yield one(f"OKP {name}", "not an Ed25519 key", INVALID, ed_jwk(**changes), "OKP")


def document_cases() -> Iterator[Case]:
    one = of_set
    for name, text in {
        "null": "null",
        "number": "5",
        "text": '"x"',
        "list": "[]",
        "empty": "{}",
    }.items():
        yield one(f"key is {name}", "skipped", INVALID, text)
    again = json.dumps(ec_jwk(P256))
    yield one("the same key twice", "harmless", VALID, f"{again}, {again}")
    yield one(
        "kid twice, of other types",
        "the token's algorithm decides",
        VALID,
        f"{json.dumps(rsa_jwk())}, {again}",
    )
    other = json.dumps(ec_jwk(P256, x=None, y=None))
    yield one("kid twice, first unusable", "the usable one counts", VALID, f"{other}, {again}")
    for name, document in {
        "not JSON": "{", "a list": f"[{again}]", "no keys": "{}", "keys is null": '{"keys": null}',
        "keys is an object": '{"keys": {}}', "duplicate keys": f'{{"keys": [], "keys": [{again}]}}',
        "duplicate member": '{"keys": [' + again[:-1] + ', "kid": "two"}]}',
        "NaN": f'{{"keys": [{again}], "a": NaN}}', "text behind it": f'{{"keys": [{again}]}} x',
        "nested deeply": '{"keys": ' + "[" * 20_000 + "]" * 20_000 + "}",
        "half a character": '{"keys": [], "a": "\\ud800"}', "empty": "", "HTML": "<html></html>",
        "too many keys": '{"keys": [' + ", ".join([again] * 101) + "]}",
        "a huge number": f'{{"keys": [{again}], "a": {"9" * 5000}}}',
        "BOM": "\ufeff" + f'{{"keys": [{again}]}}',
    }.items():  # fmt: skip
        yield case(
            f"document: {name}",
            "not a JWK set: the keys of before would stay",
            UNAVAILABLE,
            document=document,
            token=signed_tokens()["EC"],
            beside=None,
        )


def of(head: object, body: object, expected: str, name: str, comment: str) -> Case:
    """A token of HS256 with any header and payload, objects or bytes, signed with the key."""
    parts = [one if isinstance(one, bytes) else compact(one) for one in (head, body)]
    text = ".".join(map(b64, parts))
    return case(name, comment, expected, token=f"{text}.{b64(hs256(text))}")


def jws_cases() -> Iterator[Case]:
    yield from header_cases()
    yield from json_cases()
    yield from form_cases()


def header_cases() -> Iterator[Case]:
    good, body = header("HS256"), claims()
    yield of(good, body, VALID, "valid", "as RFC 7515 says")
    yield of({**good, "x": 1}, body, VALID, "unknown header", "is ignored (RFC 7515, 4)")
    yield of(good, {**body, "name": "Zo\u00eb \U0001f40e"}, VALID, "other characters", "in UTF-8")
    yield of(json.dumps(good, indent=1).encode(), body, VALID, "spaces in the JSON", "allowed")
    for name, changes in each({
        "crit": {"crit": ["exp"]}, "empty crit": {"crit": []}, "b64": {"b64": False},
        "zip": {"zip": "DEF"}, "jwk": {"jwk": {"kty": "oct", "k": b64(HMAC_KEY)}},
        "jku": {"jku": "https://evil.example/"}, "x5u": {"x5u": "https://evil.example/"},
        "x5c": {"x5c": ["AAAA"]},
    }):  # fmt: skip
        yield of({**good, **changes}, body, INVALID, f"header {name}", "brings rules or keys")
    for alg in ("none", "None", "NONE", "", "hs256", "HS384", "HS512", "ES256", "EdDSA", "RS256",
                " HS256", 1, None, ["HS256"], {"a": 1}):  # fmt: skip
        yield of({**good, "alg": alg}, body, INVALID, f"alg {alg!r}", "not the key's algorithm")
    for kid in ("two", "ONE", "", "one ", "../one", "one\x00", 1, None, ["one"], {"one": 1}):
        yield of({**good, "kid": kid}, body, INVALID, f"kid {kid!r}", "not the key's id")
    for typ in ("JWT", "jwt", "at+JWT", "AT+JWT", "application/at+jwt", "", " at+jwt", 1, None,
                ["at+jwt"]):  # fmt: skip
        yield of({**good, "typ": typ}, body, INVALID, f"typ {typ!r}", "ours say at+jwt")
    for name in good:
        rest = {one: value for one, value in good.items() if one != name}
        yield of(rest, body, INVALID, f"no {name}", "a header is missing")


def json_cases() -> Iterator[Case]:
    good, body = header("HS256"), claims()
    for name, raw_head in {
        "duplicate alg": b'{"alg":"HS256","kid":"one","typ":"at+jwt","alg":"HS256"}',
        "duplicate kid": b'{"alg":"HS256","kid":"two","kid":"one","typ":"at+jwt"}',
        "BOM": b"\xef\xbb\xbf" + compact(good),
        "Latin-1": compact(good)[:-1] + b',"x":"\xe9"}',
        "list": b"[]", "text": b'"HS256"', "number": b"5", "null": b"null", "not JSON": b"{",
        "empty object": b"{}", "NaN": compact(good)[:-1] + b',"x":NaN}',
        "half a character": compact(good)[:-1] + b',"x":"\\ud800"}',
        "nested deeply": compact(good)[:-1] + b',"x":' + b"[" * 1100 + b"]" * 1100 + b"}",
        "text behind it": compact(good) + b"x", "UTF-16": compact(good).decode().encode("utf-16"),
    }.items():  # fmt: skip
        yield of(raw_head, body, INVALID, f"header: {name}", "not one unambiguous object")
    for name, payload in {
        "duplicate sub": compact(body)[:-1] + b',"sub":"eve"}', "list": b"[]", "text": b'"x"',
        "infinite exp": compact(body)[:-1] + b',"x":Infinity}', "empty": b" ",
    }.items():  # fmt: skip
        yield of(good, payload, INVALID, f"payload: {name}", "not one unambiguous object")


def form_cases() -> Iterator[Case]:
    text = message("HS256")
    signature = b64(hs256(text))
    head, claim = text.split(".")
    for name, token in {
        "no signature": text, "empty signature": f"{text}.",
        "empty payload": f"{head}..{signature}",
        "empty header": f".{claim}.{signature}", "four parts": f"{text}.{signature}.{signature}",
        "five parts": f"{head}.x.x.{claim}.{signature}", "only dots": "..", "nothing": "",
        "padding": f"{text}.{signature}=", "padded header": f"{head}==.{claim}.{signature}",
        "line break": f"{text}.{signature}\n", "space before": f" {text}.{signature}",
        "tab inside": f"{head}.{claim[:9]}\t{claim[9:]}.{signature}",
        "NUL": f"{text}.{signature}\x00",
        "other characters": f"{text}.{signature}\u00e9",
        "full width dot": f"{head}\uff0e{claim}.{signature}",
        "unused bits": f"{text}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",
        "JSON form": json.dumps({"protected": head, "payload": claim, "signature": signature}),
        "signature of 31 bytes": f"{text}.{b64(hs256(text)[:31])}",
        "signature of 33 bytes": f"{text}.{b64(hs256(text) + bytes(1))}",
        "signature of 16 bytes": f"{text}.{b64(hs256(text)[:16])}",
        "HS512": f"{text}.{b64(hs256(text, digest='sha512'))}",
        "SHA-256 without a key": f"{text}.{b64(hashlib.sha256(text.encode()).digest())}",
        "empty key": f"{text}.{b64(hs256(text, b''))}",
        "another key": f"{text}.{b64(hs256(text, seed('other')))}",
        "key as text": f"{text}.{b64(hs256(text, HMAC_KEY.hex().encode()))}",
        "zeros": f"{text}.{b64(bytes(32))}",
        "first byte": f"{text}.{b64(bytes([hs256(text)[0] ^ 1]) + hs256(text)[1:])}",
        "last byte": f"{text}.{b64(hs256(text)[:-1] + bytes([hs256(text)[-1] ^ 1]))}",
        "header and payload swapped": f"{claim}.{head}.{signature}",
        "signature in other case": f"{text}.{signature.swapcase()}",
        "too long": f"{head}.{b64(compact(claims(x='x' * 4096)))}.{signature}",
    }.items():  # fmt: skip
        yield case(name, "not the one compact form, or not its signature", INVALID, token=token)


FILES: dict[str, tuple[dict[str, Any], Callable[[], Iterator[Case]]]] = {
    "es256": ({"keys": [ec_jwk(P256)]}, es256_cases),
    "eddsa": ({"keys": [ed_jwk()]}, eddsa_cases),
    "rsa": ({"keys": [rsa_jwk()]}, rsa_cases),
    "jwk_sets": ({}, jwk_set_cases),
    "jws": ({"secret": HMAC_KEY.hex()}, jws_cases),
}


def contents(name: str) -> str:
    """Return what a file has to hold."""
    known, cases = FILES[name]
    return json.dumps({"now": NOW, **known, "cases": list(cases())}, indent=1) + "\n"


def main() -> None:
    """Write all files."""
    for name in FILES:
        (HERE / f"{name}.json").write_text(contents(name))


if __name__ == "__main__":
    main()
