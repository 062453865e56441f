"""Sessions: their rules, their rows, their users, and who may end them."""
