"""Metrics of one (impression, reference) pair, each in [0, 1], higher is better."""
