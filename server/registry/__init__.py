"""The registry: what all servers of one place share, in a database and a store of bundles."""

from radimpress.server.registry.answers import Answer, Outcome, QualityRow, Signed
from radimpress.server.registry.events import Event
from radimpress.server.registry.journal import Journal
from radimpress.server.registry.registry import Registry
from radimpress.server.registry.store import Store

__all__ = ["Answer", "Event", "Journal", "Outcome", "QualityRow", "Registry", "Signed", "Store"]
