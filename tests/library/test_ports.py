"""A store that fails does not cost the session, and brings no older one back."""

from __future__ import annotations

import errno
import logging

import pytest

from unexpired.ports import FallbackStore, MemoryStore


class FaultyStore(MemoryStore):
    """A store in memory that can fail like a full or blocked disk."""

    fails: frozenset[str] = frozenset()

    def _check(self, operation: str) -> None:
        if operation in self.fails:
            raise OSError(errno.ENOSPC, "No space left on device", "secret.json")

    def load(self) -> str | None:
        self._check("load")
        return super().load()

    def save(self, text: str) -> None:
        self._check("save")
        super().save(text)

    def clear(self) -> None:
        self._check("clear")
        super().clear()


@pytest.fixture
def faulty() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def store(faulty: FaultyStore) -> FallbackStore:
    return FallbackStore(faulty, OSError, "the store")


def test_a_store_that_works_is_used(faulty: FaultyStore, store: FallbackStore) -> None:
    assert store.load() is None
    store.save("a")
    assert (store.load(), faulty.load()) == ("a", "a")
    store.clear()
    assert (store.load(), faulty.load()) == (None, None)


def test_what_cannot_be_stored_is_kept_in_memory_with_one_warning(
    faulty: FaultyStore, store: FallbackStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.fails = frozenset({"load", "save", "clear"})
    with caplog.at_level(logging.WARNING):
        store.save("a secret")
    assert store.load() == "a secret"
    (warning,) = caplog.records
    assert "the store cannot be written (No space left on device)" in warning.getMessage()
    assert "secret" not in caplog.text


def test_an_older_session_does_not_come_back(faulty: FaultyStore, store: FallbackStore) -> None:
    """Another program, or the next start, must not find it."""
    store.save("older")
    faulty.fails = frozenset({"save"})
    store.save("newer")
    assert faulty.load() is None
    assert store.load() == "newer"


def test_a_store_that_works_again_takes_over(faulty: FaultyStore, store: FallbackStore) -> None:
    faulty.fails = frozenset({"save"})
    store.save("a")
    faulty.fails = frozenset()
    store.save("b")
    assert (store.load(), faulty.load()) == ("b", "b")
    faulty.save("c")  # another program's
    assert store.load() == "c"


def test_a_sign_out_forgets_what_is_in_memory_even_if_the_store_fails(
    faulty: FaultyStore, store: FallbackStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.fails = frozenset({"save", "clear"})
    store.save("a")
    with caplog.at_level(logging.WARNING):
        store.clear()
    assert store.load() is None
    assert "the store cannot be removed" in caplog.text


def test_a_store_that_cannot_be_read_is_empty(faulty: FaultyStore, store: FallbackStore) -> None:
    faulty.fails = frozenset({"load"})
    assert store.load() is None


def test_only_the_text_of_the_system_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Any other text may quote what could not be stored."""

    class Quoting(MemoryStore):
        def save(self, text: str) -> None:
            raise ValueError(text)

    with caplog.at_level(logging.WARNING):
        FallbackStore(Quoting(), ValueError, "the store").save("a secret")
    assert "(ValueError)" in caplog.text
    assert "secret" not in caplog.text


def test_another_error_is_not_hidden() -> None:
    class Broken(MemoryStore):
        def save(self, text: str) -> None:
            raise KeyError(text)

    with pytest.raises(KeyError):
        FallbackStore(Broken(), OSError, "the store").save("a")
