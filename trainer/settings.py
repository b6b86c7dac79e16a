"""How adapters are fitted; the defaults are the published experiment's."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FitSettings(BaseModel):
    """Settings of a LoRA fit; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=8, ge=1, le=64)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    epochs: float = Field(default=1.0, gt=0)
    batch: int = Field(default=2, ge=1, description="packed rows a forward pass")
    accumulation: int = Field(default=16, ge=1, description="forward passes a step")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps")
    max_tokens: int = Field(default=1024, ge=32, description="of a packed row; longer findings are cut and counted")
    validation_reports: int = Field(default=100, ge=1)
    unified_reports: int = Field(default=0, ge=0, description="0 takes all")
    cluster_reports: int = Field(default=0, ge=0, description="0 takes all")
    cluster_minimum: int = Field(default=50, ge=1, description="a cluster with fewer gets no adapter")
    checkpoint_steps: int = Field(default=10, ge=1, description="steps between checkpoints")
    price_per_hour: float = Field(default=0.0, ge=0, description="dollars that an hour of the machine costs")
    budget_usd: float = Field(default=0.0, ge=0, description="dollars that all adapters may cost; 0 is no limit")
    seed: int = 0

    @model_validator(mode="after")
    def _priced(self) -> FitSettings:
        if self.budget_usd and not self.price_per_hour:
            raise ValueError(f"budget_usd is {self.budget_usd} and price_per_hour 0: no budget without a price")
        return self

    def decisive(self) -> dict[str, Any]:
        """The settings that decide what an adapter learns."""
        return self.model_dump(exclude={"checkpoint_steps", "price_per_hour", "budget_usd"})
