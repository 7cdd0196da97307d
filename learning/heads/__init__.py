"""How outputs of a network become actions; one module for each action space, numpy alone."""
