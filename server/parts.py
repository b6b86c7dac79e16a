"""What the services are made of, put together by serve.py."""

from __future__ import annotations

from dataclasses import dataclass

from radimpress.server.admission import Admission
from radimpress.server.engines import Engine
from radimpress.server.policy import Policy
from radimpress.server.registry import Journal, Registry
from radimpress.server.rollout.shadow import Shadow
from radimpress.server.security.audit import Audit
from radimpress.server.security.caller import current_caller
from radimpress.server.telemetry import Metrics, Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an impression passes through.

    Attributes:
        registry: says who serves.
        policy: says what no adapter answers.
        admission: says who may come in.
        engine: writes.
        journal: keeps what was answered.
        shadow: asks adapters on trial as well.
        metrics: counts.
        tracing: follows.
        audit: who asked what; None keeps no trail.
        max_tokens: of an impression.
        batch: reports of batches that are worked on together.
    """

    registry: Registry
    policy: Policy
    admission: Admission
    engine: Engine
    journal: Journal
    shadow: Shadow
    metrics: Metrics
    tracing: Tracing
    audit: Audit | None
    max_tokens: int
    batch: int

    def audited(
        self,
        rpc: str,
        *,
        clinic: str = "",
        request_id: str = "",
        digest: str = "",
        table: int = 0,
        outcome: str = "OK",
    ) -> None:
        """Writes down that the caller of the rpc in hand was answered, where a trail is kept.

        Raises:
            UnavailableError: it cannot be written.
        """
        if self.audit is not None:
            subject = current_caller.get().subject
            self.audit.write(
                rpc,
                subject=subject,
                clinic=clinic,
                request_id=request_id,
                digest=digest,
                table=table,
                outcome=outcome,
            )
