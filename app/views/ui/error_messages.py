"""Shows errors as messages, next to the part of the page that they concern."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unexpired import (
    BadReply,
    NotSignedIn,
    RateLimited,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)
from views.ui.dom import show_alert
from views.ui.i18n import tr, tr_code, tr_plural

INPUT_IS_KEPT = "What you typed is kept."
# The client has redirected to the sign-in page, which shows the reason.
SESSION_OVER = (NotSignedIn, SessionEnded, SessionExpired)


@contextmanager
def errors_shown_in(alert: Any, *, hint: str = "") -> Iterator[None]:
    """Run code that calls the server; show its errors in the alert and suppress them.

    Args:
        alert: The element that shows the message.
        hint: A message to append when the server cannot be reached.
    """
    show_alert(alert)
    try:
        yield
    except SESSION_OVER:
        pass
    except Unreachable as error:
        show_alert(alert, f"{error_message(error)} {tr(hint)}".rstrip())
    except RateLimited as error:
        show_alert(alert, _wait(error.retry_after) if error.retry_after else error_message(error))
    except UnexpiredError as error:
        show_alert(alert, error_message(error))


def error_message(error: UnexpiredError) -> str:
    """Return the error's message in the page's language."""
    return tr_code(str(error), error.code if isinstance(error, BadReply) else None)


def _wait(seconds: float) -> str:
    return tr_plural(
        math.ceil(seconds),
        "Too many attempts. Please wait 1 second, then try again.",
        "Too many attempts. Please wait {} seconds, then try again.",
    )
