"""The Notes view: notes, drafts, and notes that could not be sent yet."""
