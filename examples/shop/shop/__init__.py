"""A shop: a FastAPI application with users of its own, which keeps its customers signed in.

main       the application and its routes
people     the users, in a table of the shop's own, and their roles
stock      the teas and the orders
live       who is listening: the feed and the chat
"""
