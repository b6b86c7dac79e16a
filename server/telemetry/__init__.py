"""What the server tells about itself: metrics, traces and a log. Names, digests and numbers; never a report."""

from radimpress.server.telemetry.http import exposing
from radimpress.server.telemetry.metrics import Metrics
from radimpress.server.telemetry.tracing import Trace, Tracing, open_tracing

__all__ = ["Metrics", "Trace", "Tracing", "exposing", "open_tracing"]
