"""Section IV of the paper: arms, curves and Fig. 6."""
