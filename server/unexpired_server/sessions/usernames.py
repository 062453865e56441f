"""User names: one account a name, however it is typed (RFC 8264, RFC 8265).

A new name is stored in the form of PRECIS' profile UsernameCaseMapped: lower case, full width
characters narrowed, NFC, no spaces, no invisible characters. Names in one script only are
accepted, because ``ada`` with a Cyrillic first letter looks like another. That finds letters that
are mixed, not a whole name in another script that looks like a Latin one.
"""

from __future__ import annotations

import hashlib
import unicodedata

from precis_i18n import get_profile

MAXIMUM_LENGTH = 64
"""In characters of the stored form, which can be longer than what was typed."""

_PROFILE = get_profile("UsernameCaseMapped")
_TOGETHER = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HANGUL"},
)
"""Scripts that are written together (UTS 39, section 5.2, "Highly Restrictive")."""

_OF_NO_SCRIPT = {"COMBINING", "MODIFIER", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"}


class InvalidUsernameError(ValueError):
    """A name that no new user may have; the message is one sentence for people."""


def canonical(typed: str) -> str:
    """Return the form of a name that is stored and compared, whatever was typed.

    Names from before this rule may not fit the profile; of those it is NFC.
    """
    try:
        return _PROFILE.enforce(typed.strip())
    except UnicodeEncodeError:
        return unicodedata.normalize("NFC", typed.strip())


def account_hash(typed: str) -> str:
    """Return by what an account is recognised, whatever was typed as its name.

    An application's table may overlook the case, spaces and invisible characters also of names
    that ours would not have; guesses for all of these spellings are for one account.
    """
    return hashlib.sha256(_folded(typed).encode("utf-8", "replace")).hexdigest()[:32]


def _folded(typed: str) -> str:
    compatible = unicodedata.normalize("NFKC", canonical(typed)).casefold()
    visible = "".join(one for one in compatible if not unicodedata.category(one).startswith("C"))
    return unicodedata.normalize("NFKC", " ".join(visible.split()))


def spellings(typed: str) -> tuple[str, ...]:
    """Return the stored names that a typed name may mean, the most exact one first.

    The exact one comes first for names from before this rule: where both ``Ada`` and ``ada``
    exist, each of the two people still gets the own account.
    """
    forms = (unicodedata.normalize("NFC", typed), canonical(typed))
    return tuple(dict.fromkeys(form for form in forms if len(form) <= MAXIMUM_LENGTH))


def variants(name: str) -> tuple[str, ...]:
    """Return the spellings of a canonical name that may be stored from before this rule."""
    return tuple(dict.fromkeys((name, name.capitalize(), name.title(), name.upper())))


def new_username(typed: str) -> str:
    """Return the stored form of a new user's name.

    Raises:
        InvalidUsernameError: It is empty, too long, has characters that no name may have, or
            mixes scripts.
    """
    try:
        name = _PROFILE.enforce(typed.strip())
    except UnicodeEncodeError:
        raise InvalidUsernameError(
            "A username has letters, digits and punctuation, and no spaces."
        ) from None
    if len(name) > MAXIMUM_LENGTH:
        raise InvalidUsernameError(f"A username has 1 to {MAXIMUM_LENGTH} characters.")
    scripts = sorted(_scripts(name))
    if len(scripts) > 1 and not any(together.issuperset(scripts) for together in _TOGETHER):
        raise InvalidUsernameError(
            f"This username mixes letters of {' and '.join(map(str.title, scripts))}, which can "
            "look alike; use one script."
        )
    return name


def _scripts(name: str) -> set[str]:
    # Python has no table of scripts, but the names of letters begin with theirs.
    letters = (one for one in name if unicodedata.category(one).startswith("L"))
    return {unicodedata.name(one, "").partition(" ")[0] for one in letters} - _OF_NO_SCRIPT
