"""A supervised INMF of another package: it learns from labelled slots, not from rewards."""
