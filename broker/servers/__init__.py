"""Brokers that we start ourselves, and the access rules that they are given."""
