"""One edge server and its twins: mirror, calibration, adaptation, watch."""
