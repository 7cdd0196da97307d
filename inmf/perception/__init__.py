"""Cooperative perception: who of the CAV pairs perceives cooperatively."""
