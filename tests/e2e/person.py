"""A person who uses the page, and finds its elements by their accessible names."""

from collections.abc import Mapping

from playwright.sync_api import Locator, Page, expect

from tests.support.server_process import PASSWORDS


class Person:
    """Uses the page through its accessible names.

    Args:
        page: The browser tab.
        translations: The page's texts in another language, keyed by the English ones.
    """

    def __init__(self, page: Page, translations: Mapping[str, str] | None = None) -> None:
        self.page = page
        self._translations = translations or {}
        self.username = page.get_by_label(self.reads("Username"))
        self.password = page.get_by_label(self.reads("Password"))
        self.sign_in_button = page.get_by_role("button", name=self.reads("Sign in"), exact=True)
        self.sign_out_button = page.get_by_role("button", name=self.reads("Sign out"))
        self.new_note = page.get_by_role("textbox", name=self.reads("New note"))
        self.add_button = page.get_by_role("button", name=self.reads("Add note"))
        self.notes = page.get_by_role("list", name=self.reads("Notes"))
        self.status = page.get_by_role("status", name=self.reads("Session"))
        self.alert = page.get_by_role("alert").filter(visible=True)

    def reads(self, text: str) -> str:
        """Return an English text as the page shows it to this person."""
        return self._translations.get(text, text)

    def opens(self, address: str = "/") -> "Person":
        """Open the page and wait until Python runs."""
        self.page.goto(address)
        return self.waits_until_ready()

    def waits_until_ready(self) -> "Person":
        """Wait until Python runs."""
        expect(self.page.locator("html")).to_have_attribute("data-ready", "true")
        return self

    def signs_in(self, name: str = "ada", password: str | None = None) -> "Person":
        """Fill in the form and submit it."""
        self.username.fill(name)
        self.password.fill(password or PASSWORDS[name])
        self.sign_in_button.click()
        return self

    def is_at_sign_in(self) -> None:
        """Expect the sign-in view."""
        expect(self.heading("Sign in")).to_be_visible()

    def is_at_notes(self) -> None:
        """Expect the notes, loaded."""
        expect(self.heading("Notes")).to_be_visible()
        expect(self.notes).not_to_have_attribute("aria-busy", "true")

    def adds(self, text: str) -> Locator:
        """Add a note, and return its item once it is in the list."""
        self.new_note.fill(text)
        self.add_button.click()
        expect(self.note(text)).to_be_visible()
        return self.note(text)

    def note(self, text: str) -> Locator:
        """Return the items with this text."""
        return self.page.get_by_role("listitem").filter(has_text=text)

    def heading(self, name: str) -> Locator:
        """Return the heading of a view."""
        return self.page.get_by_role("heading", name=self.reads(name), exact=True)
