"""The wire: identities, topics, messages, envelope and codec. No I/O, no torch."""
