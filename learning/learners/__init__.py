"""Learners: one file for each way to make an outer gradient; found by entry points."""
