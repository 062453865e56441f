"""The sentences for people about how a session ended, by the reason in the sign-in page's URL."""

from __future__ import annotations

EXPIRED = "Your session has expired. Please log in again."

_SENTENCES = {
    "expired": EXPIRED,
    "revoked": f"{EXPIRED} It was ended on another device or by the service.",
    "damaged": f"{EXPIRED} Its key on this device could no longer be used.",
    "signed_out": "You were signed out in another tab or window.",
}

_REASONS = {
    "SESSION_REVOKED": "revoked",
    "INVALID_TOKEN": "damaged",
    "NO_TOKEN": "damaged",
    "SIGNED_OUT": "signed_out",
}


def reason_for(code: str) -> str:
    """Return the word that stands for a code in a URL."""
    return _REASONS.get(code, "expired")


def sentence_for(reason: str | None) -> str | None:
    """Return the sentence to show on the sign-in page for a reason; None when there is none.

    The reason comes from a URL that anyone may have written, so unknown ones say nothing.
    """
    return _SENTENCES.get(reason or "")
