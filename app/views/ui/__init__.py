"""Helpers shared by all views: the document, translations, dates and error messages."""
