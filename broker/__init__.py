"""The bus port, what stands behind it, and the runtime that drives a core on it."""
