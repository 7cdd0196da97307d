"""The vehicle side: sources of slots, inference, fallback, and the agent that ties them."""
