"""Saves the timeline as a recording, and shows one from a file."""

from __future__ import annotations

from typing import Any

from js import document, navigator

from views.activity.descriptions import clock
from views.activity.recording import MAX_SIZE, Recording, Source, load, save
from views.activity.timeline import Timeline
from views.ui.datetimes import date_and_time
from views.ui.dom import listen, listen_async, show_alert
from views.ui.files import save_file
from views.ui.i18n import tr

FILE = "unexpired-recording.json"


class Player:
    """The buttons below the timeline.

    Args:
        element: The element that contains them.
        timeline: Shows the present, or a recording.
        present: The present.

    Attributes:
        source: What the timeline shows.
    """

    def __init__(self, element: Any, timeline: Timeline, present: Source) -> None:
        self._timeline = timeline
        self._present = self.source = present
        self._element = element
        find = element.querySelector
        self._file, self._moment = find("[type=file]"), find("[type=range]")
        self._time = find(".time")
        self._result, self._alert = find(".result"), find("[role=alert]")
        listen(find("[data-action=save]"), "click", lambda _: self._save())
        listen(find("[data-action=open]"), "click", lambda _: self._file.click())
        listen(find("[data-action=close]"), "click", lambda _: self._close())
        listen(self._moment, "input", lambda _: self._seek())
        listen_async(self._file, "change", lambda _: self._open())

    def _save(self) -> None:
        facts = {
            "browser": str(navigator.userAgent),
            "language": str(document.documentElement.lang),
        }
        save_file(FILE, save(self.source, facts).encode(), "application/json")
        self._result.textContent = tr(
            "Saved as {}. It contains no token, no password and no note, and can be attached to a"
            " bug report.",
            FILE,
        )

    async def _open(self) -> None:
        js_file = self._file.files.item(0)
        if not js_file:
            return
        show_alert(self._alert)
        try:
            recording = load(await js_file.text() if js_file.size <= MAX_SIZE else "")
        except ValueError:
            show_alert(self._alert, tr("This file is no recording of this page."))
        else:
            self._play(recording)
        self._file.value = ""  # So that the same file can be opened again.

    def _play(self, recording: Recording) -> None:
        self._moment.min = str(recording.started_at)
        self._moment.max = self._moment.value = str(recording.ended_at)
        self._show(recording)
        self._seek()
        self._result.textContent = tr(
            "A recording of {}, with {} requests.",
            date_and_time(recording.ended_at * 1000),
            len(recording.requests),
        )
        self._moment.focus()

    def _seek(self) -> None:
        """Show the moment that the slider is at."""
        if isinstance(self.source, Recording):
            self.source.moment = float(self._moment.value)
            moment = clock(self.source.moment, self.source)
            self._time.textContent = moment
            self._moment.setAttribute("aria-valuetext", moment)
            self._timeline.draw()

    def _close(self) -> None:
        self._show(self._present)
        self._result.textContent = ""
        self._element.querySelector("[data-action=open]").focus()

    def _show(self, source: Source) -> None:
        self.source = source
        self._element.dataset.playing = str(source is not self._present).lower()
        self._timeline.show(source)
