"""Benchmarks of this project against its peers and against published figures."""
