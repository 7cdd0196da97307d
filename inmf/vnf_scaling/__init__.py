"""VNF resource scaling: how many instances of a network function serve a PLVN's packets."""
