"""Adapters, certificates and route tables."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, UniqueConstraint

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the first tables."""
    op.create_table(
        "adapters",
        Column("digest", String(64), primary_key=True),
        Column("name", String(128), nullable=False),
        Column("version", Integer, nullable=False),
        Column("base_name", String(128), nullable=False),
        Column("base_digest", String(64), nullable=False),
        Column("rank", Integer, nullable=False),
        Column("path", String, nullable=False),
        Column("manifest_digest", String(64), nullable=False),
        Column("created", String, nullable=False),
        UniqueConstraint("name", "version"),
    )
    op.create_index("ix_adapters_name", "adapters", ["name"])
    op.create_table(
        "clusters",
        Column("digest", String(64), primary_key=True),
        Column("clinics", String, nullable=False),
    )
    op.create_table(
        "certificates",
        Column("digest", String(64), primary_key=True),
        Column("body", LargeBinary, nullable=False),
    )
    op.create_table(
        "route_tables",
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("clusters", String(64), ForeignKey("clusters.digest"), nullable=False),
        Column("cause", String, nullable=False),
        Column("created", String, nullable=False),
    )
    op.create_table(
        "route_entries",
        Column("number", Integer, ForeignKey("route_tables.number"), primary_key=True),
        Column("modality", String(16), primary_key=True),
        Column("cluster", String(128), primary_key=True),
        Column("adapter", String(64), ForeignKey("adapters.digest"), nullable=False),
        Column("certificate", String(64), ForeignKey("certificates.digest"), nullable=False),
    )
