"""Sign-ins under way that are kept in memory; those of a page are tested in a browser."""

from __future__ import annotations

from unexpired.ports import MemoryPending


def test_a_sign_in_is_taken_once() -> None:
    """So an answer that comes twice finds nothing."""
    pending = MemoryPending()
    pending.put("state", "text")
    assert [pending.take("state"), pending.take("state")] == ["text", None]


def test_old_sign_ins_are_swept_and_notes_stay() -> None:
    pending = MemoryPending()
    pending.set("draft", "old")
    for state, text in (("first", "old"), ("second", "new")):
        pending.put(state, text)
    pending.sweep(lambda text: text == "old")
    assert [pending.take(state) for state in ("first", "second")] == [None, "new"]
    assert pending.get("draft") == "old"


def test_a_note_is_removed_whether_it_is_there_or_not() -> None:
    pending = MemoryPending()
    pending.set("draft", "text")
    for _ in range(2):
        pending.remove("draft")
        assert pending.get("draft") is None
