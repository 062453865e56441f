"""Accounts: create one, change the password, replace a forgotten one."""
