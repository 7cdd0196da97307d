"""Sources of slots: the built-in simulator, and SUMO."""
