"""One edge server and its twins: mirror, attributes, calibration, adaptation, watch, meta task."""
