"""A predictor that looks back a given number of items and no further (Dieleman et al., 2018, section 4.2)."""
