"""Recordings of a core's inputs, and playing them again."""
