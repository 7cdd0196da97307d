"""Intelligent network management functions: emulators, baselines and bounds, in numpy only."""
