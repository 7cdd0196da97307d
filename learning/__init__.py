"""Policies, policy gradients and meta learning: pure functions of arrays and a generator."""
