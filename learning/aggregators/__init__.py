"""Aggregators: how a cloud twin makes one gradient of many; found by entry points, numpy alone."""
