"""Benchmarks: what the README says of speed and safety, measured on this machine, sides in turn."""
