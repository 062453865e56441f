"""Sessions and users: the rules, the rows, and the one owner that changes them."""
