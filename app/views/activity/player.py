"""Saves the timeline as a recording, and plays one from a file."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from js import document, navigator
from pyodide.ffi import JsException

from views.activity.descriptions import clock
from views.activity.film import Film
from views.activity.recording import Recording
from views.activity.recording_file import MAX_SIZE, TOO_LARGE, NoRecording, load, save
from views.activity.source import Source
from views.activity.timeline import Timeline
from views.ui.datetimes import date_and_time
from views.ui.dom import listen, listen_async, prefers_reduced_motion, show_alert
from views.ui.files import save_file
from views.ui.i18n import tr

FILE = "unexpired-recording.json"
STEPS = 200  # of the slider
GLIDE, STEP = 0.1, 1.0  # s between two pictures; the second for people who prefer less motion
UNREADABLE = "This file cannot be read."


class Player:
    """The buttons that save and open a recording, and those that play it.

    Args:
        files: The element with the buttons for files.
        replay: The element that says what is played, with the buttons to play it.
        timeline: Shows the present, or a recording.
        present: The present.

    Attributes:
        source: What the timeline shows.
    """

    def __init__(self, files: Any, replay: Any, timeline: Timeline, present: Source) -> None:
        self._timeline = timeline
        self._present = self.source = present
        self._film = Film([0])
        self._position = 0.0
        self._showing = object()  # Another one while another run of the film, or none, goes on.
        self._is_playing = False
        self._replay = replay
        self._open_button = files.querySelector("[data-action=open]")
        self._save_button = files.querySelector("[data-action=save]")
        self._file = files.querySelector("[type=file]")
        self._result = files.querySelector(".result")
        self._alert = files.querySelector("[role=alert]")
        self._title, self._time = replay.querySelector("p"), replay.querySelector(".time")
        self._slider = replay.querySelector("[type=range]")
        self._play_button = replay.querySelector("[data-action=play]")
        self._slider.max = str(STEPS)
        listen(self._save_button, "click", lambda _: self._save())
        listen(self._open_button, "click", lambda _: self._file.click())
        listen(replay.querySelector("[data-action=close]"), "click", lambda _: self._leave())
        listen(self._slider, "input", lambda _: self._seek())
        listen_async(self._play_button, "click", lambda _: self._play_or_pause())
        listen_async(self._file, "change", lambda _: self._open())

    def close(self) -> None:
        """Return to the present."""
        self._pause()
        if self.source is not self._present:
            self._show(self._present)
            self._title.textContent = ""

    # -- Files ---------------------------------------------------------------------------------

    def _save(self) -> None:
        facts = {
            "browser": str(navigator.userAgent),
            "language": str(document.documentElement.lang),
        }
        save_file(FILE, save(self._present, facts).encode(), "application/json")
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
            recording = await _read(js_file)
        except NoRecording as error:
            show_alert(self._alert, tr(str(error)))
        else:
            self._begin(recording)
        self._file.value = ""  # So that the same file can be opened again.

    def _begin(self, recording: Recording) -> None:
        """Show the end of a recording, which can be played from its start."""
        self._pause()
        self._film = Film(recording.times)
        self._position = self._film.length
        self._result.textContent = ""
        self._show(recording)
        self._draw()
        self._title.textContent = tr(
            "A recording of {}, with {} requests. None of it is happening now.",
            date_and_time(recording.ended_at * 1000),
            len(recording.requests),
        )
        self._play_button.focus()

    def _leave(self) -> None:
        self.close()
        self._open_button.focus()

    def _show(self, source: Source) -> None:
        self.source = source
        self._replay.hidden = source is self._present
        self._save_button.hidden = source is not self._present
        self._timeline.show(source)

    # -- The film ------------------------------------------------------------------------------

    async def _play_or_pause(self) -> None:
        if self._is_playing:
            self._pause()
            return
        if self._position >= self._film.length:
            self._position = 0.0
        await self._play()

    async def _play(self) -> None:
        """Play until the end, a pause, or until the view is left."""
        showing = self._showing = object()
        self._set_playing(is_playing=True)
        pause = STEP if prefers_reduced_motion() else GLIDE
        while True:
            self._draw()
            before = time.monotonic()
            await asyncio.sleep(pause)
            if self._showing is not showing:
                return
            if self._position >= self._film.length or not self._replay.isConnected:
                break
            self._position += time.monotonic() - before
        self._pause()

    def _pause(self) -> None:
        self._showing = object()
        self._set_playing(is_playing=False)

    def _set_playing(self, *, is_playing: bool) -> None:
        self._is_playing = is_playing
        self._play_button.textContent = tr("Pause") if is_playing else tr("Play")

    def _seek(self) -> None:
        """Show the moment that the slider is at."""
        self._position = self._film.length * float(self._slider.value) / STEPS
        self._draw()

    def _draw(self) -> None:
        if not isinstance(self.source, Recording):
            return
        self._position = min(self._position, self._film.length)
        self.source.seek(self._film.moment(self._position))
        share = self._position / self._film.length if self._film.length else 1
        self._slider.value = str(round(STEPS * share))
        moment = clock(self.source.moment, self.source)
        self._time.textContent = moment
        self._slider.setAttribute("aria-valuetext", moment)
        self._timeline.draw()


async def _read(js_file: Any) -> Recording:
    """Return the recording in a file.

    Raises:
        NoRecording: If it is none, or cannot be read.
    """
    if js_file.size > MAX_SIZE:
        raise NoRecording(TOO_LARGE)
    try:
        text = await js_file.text()
    except JsException as error:  # It was deleted meanwhile, or may not be read.
        raise NoRecording(UNREADABLE) from error
    return load(text)
