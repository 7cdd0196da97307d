"""A wrapped Gymnasium environment as an INMF of another package: a rule and nothing else."""
