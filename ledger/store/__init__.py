"""Where entries are kept: one protocol, one module a database. Never decides or judges what is written."""
