"""What every view uses: the document, translations, dates, error messages."""
