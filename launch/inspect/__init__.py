"""Looking at a running platform: watch, status, tapes and replays."""
