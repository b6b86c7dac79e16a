"""Trials, retired adapters, the chain of events, answers and what was signed."""

from __future__ import annotations

import secrets

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Integer, LargeBinary, String, UniqueConstraint

revision = "0002"
down_revision = "0001"
_BYTES = 32
# SQLite counts rows by keys of this very type.
_BIG = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Adds what is new; what is there stays as it is."""
    op.add_column("adapters", Column("retired", String))
    op.create_table(
        "route_trials",
        Column("number", Integer, ForeignKey("route_tables.number"), primary_key=True),
        Column("modality", String(16), primary_key=True),
        Column("cluster", String(128), primary_key=True),
        Column("adapter", String(64), ForeignKey("adapters.digest"), nullable=False),
        Column("certificate", String(64), ForeignKey("certificates.digest"), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("percent", Double, nullable=False),
        Column("clinics", String, nullable=False),
        Column("since", Integer, nullable=False),
    )
    op.create_table(
        "events",
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("created", String, nullable=False),
        Column("actor", String, nullable=False),
        Column("action", String, nullable=False),
        Column("digest", String, nullable=False),
        Column("route_table", Integer, nullable=False),
        Column("detail", String, nullable=False),
        Column("content", String, nullable=False),
        Column("chain", String(64), nullable=False),
    )
    kept = op.create_table(
        "secrets",
        Column("name", String(32), primary_key=True),
        Column("value", LargeBinary, nullable=False),
    )
    op.bulk_insert(kept, [{"name": "asked", "value": secrets.token_bytes(_BYTES)}])
    op.create_table(
        "answers",
        Column("number", _BIG, primary_key=True, autoincrement=False),
        Column("clinic", String, nullable=False),
        Column("request_id", String),
        Column("shadow", Boolean, nullable=False),
        Column("subject", String, nullable=False),
        Column("asked", String, nullable=False),
        Column("message", LargeBinary),
        Column("digest", String, nullable=False),
        Column("adapter", String, nullable=False),
        Column("version", Integer, nullable=False),
        Column("modality", String(16), nullable=False),
        Column("cluster", String, nullable=False),
        Column("arm", String(16), nullable=False),
        Column("route_table", Integer, nullable=False),
        Column("checks", String, nullable=False),
        Column("created", String, nullable=False),
        Column("seconds", Double, nullable=False),
        UniqueConstraint("clinic", "request_id", "shadow"),
    )
    op.create_index("answers_by_cell", "answers", ["modality", "cluster", "number"])
    op.create_table(
        "signed",
        Column("answer", _BIG, ForeignKey("answers.number"), primary_key=True, autoincrement=False),
        Column("number", _BIG, nullable=False, unique=True),
        Column("request_id", String, nullable=False),
        Column("edit_distance", Double, nullable=False),
        Column("rouge_l", Double, nullable=False),
        Column("unchanged", Boolean, nullable=False),
        Column("checks_right", String, nullable=False),
        Column("report", LargeBinary, nullable=False),
        Column("final", LargeBinary, nullable=False),
        Column("created", String, nullable=False),
    )
