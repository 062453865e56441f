"""Makes SVG elements."""

from __future__ import annotations

from typing import Any

from js import document

SVG = "http://www.w3.org/2000/svg"


def shape(tag: str, name: str = "", **attributes: float) -> Any:
    """Return an element with a class and numbers as attributes."""
    element = document.createElementNS(SVG, tag)
    if name:
        element.setAttribute("class", name)
    for key, value in attributes.items():
        element.setAttribute(key, f"{value:.1f}")
    return element


def text(content: str, x: float, y: float, name: str) -> Any:
    """Return a text."""
    element = shape("text", name, x=x, y=y)
    element.textContent = content
    return element


def append(parent: Any, tag: str, name: str) -> Any:
    """Return a new element, which is the parent's last."""
    element = shape(tag, name)
    parent.append(element)
    return element


def focusable(element: Any) -> Any:
    """Return the element, which can be focused and has a label."""
    element.setAttribute("role", "img")
    element.setAttribute("tabindex", "-1")
    return element
