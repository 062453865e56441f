"""What a notebook shows a person who signs in: ``popup=show_link``, or ``device=show_code``.

It is in the output of the cell that waits for them. IPython displays it, which the kernels of
Jupyter and JupyterLite have.
"""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unexpired.oidc.device import DevicePrompt


def show_link(url: str, text: str = "Sign in") -> None:
    """Show a link that opens the provider's page in a new window.

    Args:
        url: The provider's page.
        text: The text of the link.
    """
    _display(_link(url, text), f"{text}: {url}")


def show_code(prompt: DevicePrompt) -> None:
    """Show where to sign in, and the code to enter or to compare (RFC 8628, section 3.3.1).

    Args:
        prompt: Both.
    """
    address, code = prompt.verification_uri, prompt.user_code
    link = _link(prompt.verification_uri_complete or address, address)
    _display(f"Open {link}. The code is <b>{escape(code)}</b>.", f"Open {address}. Code: {code}")


def _link(url: str, text: str) -> str:
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(text)}</a>'


def _display(html: str, text: str) -> None:
    """Display HTML, or text where the front end has no HTML."""
    content = {"text/html": html, "text/plain": text}
    import_module("IPython.display").display(content, raw=True)
