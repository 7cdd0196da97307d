"""Reliable delivery: outboxes, acknowledgements, chunked messages, ledgers of what was lost."""
