"""Reliable delivery: outboxes, acknowledgements, chunked messages, accounts of what was lost."""
