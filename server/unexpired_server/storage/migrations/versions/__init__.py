"""One module for each migration, applied in the order of their revisions."""
