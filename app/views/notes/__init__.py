"""The Notes view: notes, drafts, and notes that wait to be sent."""
