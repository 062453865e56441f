"""Leaving for the provider, and coming back: the authorization request and its answer.

Anybody can make a link to the redirect URI, with any parameters. So nothing in an answer counts
before its ``state`` is one that this device has stored: that holds off forged sign-ins (RFC 9700,
section 4.7), ``iss`` mixed-up providers (section 4.4), and the verifier stolen codes (section 4.5).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode, urlsplit, urlunsplit

from unexpired.claims import MAX_LENGTH
from unexpired.errors import SignInFailed
from unexpired.oidc.metadata import TENANT, TENANT_ID, Metadata, refuse
from unexpired.origins import origin_of
from unexpired.outside_text import loads
from unexpired.sign_in_redirect import is_inside
from unexpired.token_response import error_code, finite_seconds

if TYPE_CHECKING:
    from unexpired.oidc.provider import Provider

MAX_AGE = 600.0  # s. Codes live ten minutes at most: RFC 6749, section 4.1.2.
PREFIX = "ux1."
"""Begins each of our states, by which answers to other libraries are left unread."""

ANSWER = frozenset(
    {
        *("code", "state", "iss", "error", "error_description", "error_uri"),
        "session_state",  # OpenID Connect Session Management, section 2.
    }
)

_STATE = re.compile(r"ux1\.[\w-]{43}", re.ASCII)
_NONCE = re.compile(r"[\w-]{43}", re.ASCII)
_VERIFIER = re.compile(r"[\w.~-]{43,128}", re.ASCII)  # RFC 7636, section 4.1.
_CODE = re.compile(r"[\x20-\x7e]+")  # RFC 6749, appendix A.11.


@dataclass(frozen=True)
class Asked:
    """What the caller of ``sign_in`` asks for.

    Attributes:
        hint: Who signs in, as the provider knows them (``login_hint``).
        prompt: What the provider must ask, in place of the provider's own ``prompt``.
        max_age: How long ago the person may have signed in, in place of the provider's own.
    """

    hint: str = ""
    prompt: str = ""
    max_age: int | None = None


@dataclass(frozen=True, repr=False)
class PendingSignIn:
    """What must be remembered between leaving for the provider and coming back.

    Attributes:
        state: Names this sign-in; the answer repeats it.
        nonce: The ID token repeats it.
        verifier: Proves, with the code, that both are of one device (RFC 7636).
        issuer: The provider that was asked.
        client_id: The application that asked.
        redirect_uri: Where the answer comes to; absolute.
        at: When it began, in Unix seconds of this device.
        back: Path, query and hash to return to; empty: none.
        draft: What the person had typed.
        max_age: The ``max_age`` that was asked for.
        silent: Whether the provider was asked to show nothing.
        person: The ``sub`` of whom the draft is; empty if nobody was signed in.
    """

    state: str
    nonce: str
    verifier: str
    issuer: str
    client_id: str
    redirect_uri: str
    at: float
    back: str = ""
    draft: str = ""
    max_age: int | None = None
    silent: bool = False
    person: str = ""

    def __repr__(self) -> str:
        return "<PendingSignIn>"

    def dumps(self) -> str:
        """Return it as a text to store."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> PendingSignIn:
        """Return the sign-in that a stored text holds.

        Raises:
            ValueError: If it does not hold one; the error never quotes it.
        """
        try:
            values = loads(text, finite=True)
            pending = cls(**values)
        except (ValueError, TypeError):
            raise ValueError("not a sign-in that was stored") from None
        if not pending._is_sound():
            raise ValueError("not a sign-in that was stored")
        return pending

    def _is_sound(self) -> bool:
        texts = {name: value for name, value in asdict(self).items() if name not in _NO_TEXTS}
        return (
            all(isinstance(value, str) for value in texts.values())
            and _STATE.fullmatch(self.state) is not None
            and _NONCE.fullmatch(self.nonce) is not None
            and _VERIFIER.fullmatch(self.verifier) is not None
            and finite_seconds(self.at) is not None
            and (self.back == "" or is_inside(self.back))
            and (self.max_age is None or type(self.max_age) is int)
            and isinstance(self.silent, bool)
        )


_NO_TEXTS = {"at", "max_age", "silent"}


# -- Leaving ---------------------------------------------------------------------------------------


def new_pending(  # noqa: PLR0913 - each is one fact of the sign-in
    provider: Provider,
    asked: Asked,
    *,
    redirect_uri: str,
    now: float,
    back: str = "",
    draft: str = "",
    silent: bool = False,
    person: str = "",
) -> PendingSignIn:
    """Return a new sign-in, with random values that nobody can guess.

    Args:
        provider: Where the person signs in.
        asked: What the caller asks for.
        redirect_uri: Where the answer comes to; absolute.
        now: The time, in Unix seconds of this device.
        back: Path, query and hash to return to; one that is not plainly inside this origin is left
            out.
        draft: What the person had typed.
        silent: Whether the provider is asked to show nothing.
        person: The ``sub`` of whom the draft is.
    """
    return PendingSignIn(
        state=PREFIX + secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(32),  # RFC 7636, section 4.1 recommends 32 bytes.
        issuer=provider.issuer,
        client_id=provider.client_id,
        redirect_uri=redirect_uri,
        at=now,
        back=back if is_inside(back) else "",
        draft=draft,
        max_age=provider.max_age if asked.max_age is None else asked.max_age,
        silent=silent,
        person=person,
    )


def authorization_url(
    metadata: Metadata, provider: Provider, pending: PendingSignIn, asked: Asked
) -> str:
    """Return where the person signs in (OpenID Connect Core, section 3.1.2.1).

    Args:
        metadata: The provider's addresses.
        provider: The provider, and this application there.
        pending: The sign-in.
        asked: What the caller asks for.

    Raises:
        SignInFailed: With ``PROVIDER_MISMATCH``, if the endpoint already has one of the parameters:
            none may be there twice (RFC 6749, section 3.1).
    """
    prompt = "none" if pending.silent else asked.prompt or provider.prompt
    wanted: dict[str, str | None] = {
        **provider.parameters,
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": pending.redirect_uri,
        "scope": provider.scope,
        "state": pending.state,
        "nonce": pending.nonce,
        "code_challenge": code_challenge(pending.verifier),
        "code_challenge_method": "S256",
        "prompt": prompt,
        "login_hint": asked.hint,
        "max_age": "" if pending.max_age is None else str(pending.max_age),
        "audience": provider.audience,
        "resource": provider.resource,
    }
    return with_query(metadata.authorization_endpoint, wanted, "authorization_endpoint")


def with_query(endpoint: str, wanted: Mapping[str, str | None], field: str) -> str:
    """Return an endpoint's address with further parameters; empty ones are left out.

    Args:
        endpoint: The address, which keeps its own query.
        wanted: The parameters.
        field: What the metadata call the endpoint.

    Raises:
        SignInFailed: With ``PROVIDER_MISMATCH``, if the address has one of them already.
    """
    given = {name: value for name, value in wanted.items() if value}
    if given.keys() & {name for name, _ in _parameters(endpoint)}:
        refuse(field, "has a parameter that is not its own")
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(given, quote_via=quote)}"


def code_challenge(verifier: str) -> str:
    """Return the challenge of a verifier by S256 (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


# -- Coming back -----------------------------------------------------------------------------------


def is_answer(url: str, redirect_uri: str) -> bool:
    """Return whether an address is a provider's answer to a sign-in of this library.

    Args:
        url: The address that is shown.
        redirect_uri: Where answers come to; absolute.
    """
    if not _is_at(url, redirect_uri):
        return False
    values = _parameters(url)
    is_ours = any(name == "state" and value.startswith(PREFIX) for name, value in values)
    return is_ours and any(name in {"code", "error"} for name, _ in values)


def _is_at(url: str, redirect_uri: str) -> bool:
    """Return whether an address is the redirect URI with further parameters.

    Browsers write a host in lower case, and no port that is the default; all else must be equal.
    """
    origin = origin_of(url)
    if origin is None or origin != origin_of(redirect_uri):
        return False
    if (urlsplit(url).path or "/") != (urlsplit(redirect_uri).path or "/"):
        return False
    return {*_parameters(redirect_uri)} <= {*_parameters(url)}


def cleaned(url: str) -> str:
    """Return an address without the provider's answer; other parameters and the hash stay.

    Raises:
        ValueError: If it is not an address.
    """
    parts = urlsplit(url)
    kept = [one for one in parts.query.split("&") if _name(one) not in ANSWER]
    return urlunsplit(parts._replace(query="&".join(kept)))


def _name(parameter: str) -> str:
    return unquote_plus(parameter.partition("=")[0])


def state_of(url: str) -> str | None:
    """Return the state in an answer, or None if it is not one that this library has made."""
    states = [value for name, value in _parameters(url) if name == "state"]
    return states[0] if len(states) == 1 and _STATE.fullmatch(states[0]) else None


def code_in(
    url: str, pending: PendingSignIn, provider: Provider, metadata: Metadata, now: float
) -> str:
    """Return the code in an answer, after all checks.

    Args:
        url: The address that the provider sent the browser back to.
        pending: The sign-in that the answer's state names.
        provider: The provider, and this application there.
        metadata: What the provider says of itself.
        now: The time, in Unix seconds of this device.

    Raises:
        SignInFailed: If the answer is not of this sign-in and provider, comes too late, or is an
            error.
    """
    values = _single(url)
    if values.get("state") != pending.state:
        raise SignInFailed("UNKNOWN_SIGN_IN")
    if not _is_at(url, pending.redirect_uri):
        _bad("came to another address than the redirect URI")
    if (pending.issuer, pending.client_id) != (provider.issuer, provider.client_id):
        refuse("issuer or client_id", "has changed since the sign-in began")
    _check_issuer(values.get("iss"), provider.issuer, is_wanted=metadata.sends_iss)
    if abs(now - pending.at) > MAX_AGE:  # A clock that was set back may not keep it open.
        raise SignInFailed("SIGN_IN_TIMED_OUT")
    if "error" in values:
        raise SignInFailed(error_code(values["error"]))
    code = values.get("code", "")
    if not _CODE.fullmatch(code) or len(code) > MAX_LENGTH:
        _bad("has no code")
    return code


def _check_issuer(given: str | None, issuer: str, *, is_wanted: bool) -> None:
    """Refuse an answer of another provider than the one that was asked (RFC 9207, section 2.4)."""
    if given is None and is_wanted:
        refuse("answer", "lacks iss (RFC 9207), which the provider promises")
    if given is not None and not is_issuer(given, issuer):
        refuse("answer", "names another iss (RFC 9207) than the provider that was asked")


def is_issuer(given: object, issuer: str) -> bool:
    """Return whether a value names the issuer, in which any tenant stands for ``{tenantid}``."""
    if not isinstance(given, str) or TENANT not in issuer:
        return given == issuer
    pattern = TENANT_ID.pattern.join(map(re.escape, issuer.split(TENANT)))
    return re.fullmatch(pattern, given) is not None


def _single(url: str) -> dict[str, str]:
    """Return the answer's parameters, none of which may be there twice (RFC 6749, 3.1)."""
    values: dict[str, str] = {}
    for name, value in _parameters(url):
        if name in values:
            _bad(f"has {name} more than once")
        if name in ANSWER:
            values[name] = value
    return values


def _parameters(url: str) -> list[tuple[str, str]]:
    try:
        query = urlsplit(url).query
    except ValueError:
        return []
    return parse_qsl(query, keep_blank_values=True)


def _bad(complaint: str) -> NoReturn:
    raise SignInFailed("BAD_ANSWER", f"The provider's answer {complaint}.")
