"""Which meta model an edge server forgets to make room: one file a policy."""
