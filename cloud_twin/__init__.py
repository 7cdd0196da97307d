"""The cloud twin: registry, categories, library of meta models, meta training."""
