"""Vehicles of SUMO, which runs in a child process."""
