"""Is it good enough, and where? Metrics, checks, baselines, gate, certificate, page."""
