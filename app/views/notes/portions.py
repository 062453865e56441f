"""The portions of the list: those that are far from the window are taken out of the page.

The work of a browser grows with the items that a page has, so a long list must not have all of its
own. A portion that is far is kept outside, and a gap of its height is in its place until it comes
near again. Its items live on meanwhile, with what is typed in them. The portion that has the
keyboard's focus is never taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import js
from js import Object, document, window
from pyodide.ffi import create_proxy, to_js

from views.ui.dom import listen

AHEAD = 800
"""How far from the window items are drawn, in pixels."""

FAR = 3 * AHEAD
"""How far from the window they are taken out; more, so that none goes to and fro."""


class Portions:
    """The items of the stored notes, in their order.

    Each portion begins with a ``<template>``, which no screen reader counts as an item. It is the
    gap of a portion that is taken out, and holds its items.

    Args:
        element: The list, which may have other items before these.
        on_changed: Called when portions were taken out, or are back.
    """

    def __init__(self, element: Any, on_changed: Callable[[], None]) -> None:
        self._element = element
        self._on_changed = on_changed
        self._starts: list[Any] = []
        self._present: set[int] = set()
        # Else the page scrolls by hand, where items need more or less room than their gap.
        self._is_anchored = js.CSS.supports("overflow-anchor", "auto")
        margin = to_js({"rootMargin": f"{AHEAD}px"}, dict_converter=Object.fromEntries)
        self._observer = js.IntersectionObserver.new(create_proxy(self._on_near), margin)
        listen(window, "beforeprint", lambda _: self._restore_all())
        listen(window, "afterprint", lambda _: self._take_out_far())

    @property
    def are_all_present(self) -> bool:
        """Whether no portion is taken out."""
        return len(self._present) == len(self._starts)

    def begin(self) -> None:
        """Begin a portion: the items that are appended next are its own."""
        self._take_out_far()
        start = document.createElement("template")
        start.dataset.number = str(len(self._starts))
        self._element.append(start)
        self._present.add(len(self._starts))
        self._starts.append(start)

    def insert(self, item: Any, following: Any) -> None:
        """Put an item before another one, or at the end."""
        if following is not None:
            following.before(item)
            return
        if not self._starts:
            self.begin()
        self._restore(self._starts[-1])
        self._element.append(item)

    def clear(self) -> None:
        """Remove all items."""
        self._observer.disconnect()
        if self._starts:
            js_range = document.createRange()
            js_range.setStartBefore(self._starts[0])
            js_range.setEndAfter(self._element.lastChild)
            js_range.deleteContents()
        self._starts.clear()
        self._present.clear()

    def next_to(self, item: Any, *, forward: bool) -> Any:
        """Return the next item or the last one, which is put into the page if it is outside."""
        while item := item.nextElementSibling if forward else item.previousElementSibling:
            if not item.matches("template"):
                return item
            if inside := self._end_of(item, forward=forward):
                return inside
        return None

    def outermost(self, *, last: bool) -> Any:
        """Return the list's first item or its last one."""
        item = self._element.lastElementChild if last else self._element.firstElementChild
        if item and item.matches("template"):
            inside = self._end_of(item, forward=not last)
            return inside or self.next_to(item, forward=not last)
        return item

    def _end_of(self, start: Any, *, forward: bool) -> Any:
        """Return the item of a portion that is outside which is met first, and put it back."""
        item = start.content.firstElementChild if forward else start.content.lastElementChild
        if item:
            self._restore(start)
            self._on_changed()
        return item

    # -- Out of the page, and back -------------------------------------------------------------

    def _range(self, number: int) -> Any:
        """Return the range of a portion's items that are in the page."""
        js_range = document.createRange()
        js_range.setStartAfter(self._starts[number])
        if number + 1 < len(self._starts):
            js_range.setEndBefore(self._starts[number + 1])
        else:
            js_range.setEndAfter(self._element.lastChild)
        return js_range

    def _take_out_far(self) -> None:
        # All are measured before any is moved: a measure after a move is another layout.
        ranges = {number: self._range(number) for number in self._present}
        boxes = {number: one.getBoundingClientRect() for number, one in ranges.items()}
        focused = document.activeElement and document.activeElement.closest("li")
        far = {
            number
            for number, box in boxes.items()
            if (box.bottom < -FAR or box.top > window.innerHeight + FAR)
            and not (focused and ranges[number].intersectsNode(focused))
        }
        for number in far:
            self._take_out(self._starts[number], ranges[number], boxes[number].height)
        self._present -= far
        self._on_changed()

    def _take_out(self, start: Any, js_range: Any, height: float) -> None:
        start.content.append(js_range.extractContents())
        start.style.height = f"{height}px"
        start.classList.add("gap")
        self._observer.observe(start)

    def _on_near(self, js_entries: Any, _: Any) -> None:
        for entry in js_entries:
            if entry.isIntersecting:
                self._restore_in_place(entry.target)
        self._take_out_far()

    def _restore_in_place(self, start: Any) -> None:
        """Put a portion back, so that what the person reads does not move."""
        gap = start.getBoundingClientRect()
        self._restore(start)
        if not self._is_anchored and gap.top < 0:
            box = self._range(int(start.dataset.number)).getBoundingClientRect()
            window.scrollBy(0, box.height - gap.height)

    def _restore(self, start: Any) -> None:
        """Put a portion back into the page, unless it is there."""
        number = int(start.dataset.number)
        if number in self._present:
            return
        self._observer.unobserve(start)
        self._present.add(number)
        start.classList.remove("gap")
        start.after(start.content)

    def _restore_all(self) -> None:
        for start in self._starts:
            self._restore(start)
