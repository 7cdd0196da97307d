"""Composition, command line and exit codes: the one place where parts meet."""
