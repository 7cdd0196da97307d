"""`twintier demo`: the whole platform on one machine."""
