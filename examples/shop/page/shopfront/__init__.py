"""The page of the shop."""
