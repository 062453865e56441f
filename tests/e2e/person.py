"""Somebody in front of the page, who finds things by the names that they can read or hear."""

from collections.abc import Mapping

from playwright.sync_api import Locator, Page, expect

from tests.support.server_process import PASSWORDS


class Person:
    """Uses the page as people do.

    Args:
        page: The browser tab.
        words: What the page says, under its English sentences, in another language.
    """

    def __init__(self, page: Page, words: Mapping[str, str] | None = None) -> None:
        self.page = page
        self._words = words or {}
        self.username = page.get_by_label(self.reads("Username"))
        self.password = page.get_by_label(self.reads("Password"))
        self.sign_in_button = page.get_by_role("button", name=self.reads("Sign in"))
        self.sign_out_button = page.get_by_role("button", name=self.reads("Sign out"))
        self.new_note = page.get_by_role("textbox", name=self.reads("New note"))
        self.add_button = page.get_by_role("button", name=self.reads("Add note"))
        self.notes = page.get_by_role("list", name=self.reads("Notes"))
        self.status = page.get_by_role("status", name=self.reads("Session"))
        self.alert = page.get_by_role("alert").filter(visible=True)

    def reads(self, sentence: str) -> str:
        """What the page says to this person for an English sentence."""
        return self._words.get(sentence, sentence)

    def opens(self, address: str = "/") -> "Person":
        """Open the page and wait until Python runs."""
        self.page.goto(address)
        return self.waits_until_ready()

    def waits_until_ready(self) -> "Person":
        """Wait until Python runs."""
        expect(self.page.locator("html")).to_have_attribute("data-ready", "true")
        return self

    def signs_in(self, name: str = "ada", password: str | None = None) -> "Person":
        """Fill in the form and send it."""
        self.username.fill(name)
        self.password.fill(password or PASSWORDS[name])
        self.sign_in_button.click()
        return self

    def is_at_sign_in(self) -> None:
        """See the sign-in view."""
        expect(self.heading("Sign in")).to_be_visible()

    def is_at_notes(self) -> None:
        """See the notes, loaded."""
        expect(self.heading("Notes")).to_be_visible()
        expect(self.notes).not_to_have_attribute("aria-busy", "true")

    def adds(self, text: str) -> Locator:
        """Write a note, and see it in the list."""
        self.new_note.fill(text)
        self.add_button.click()
        expect(self.note(text)).to_be_visible()
        return self.note(text)

    def note(self, text: str) -> Locator:
        """The notes in the list with this text."""
        return self.page.get_by_role("listitem").filter(has_text=text)

    def heading(self, name: str) -> Locator:
        """The heading of a view."""
        return self.page.get_by_role("heading", name=self.reads(name), exact=True)
