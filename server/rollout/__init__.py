"""Rollouts: how an adapter comes to serve a slice, how it is tried beside what serves, and when a trial ends."""
