"""How adapters are fitted; the defaults are the published experiment's."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# What is told of a fit, and how it is kept: an adapter is the same without.
_ASIDE = {
    *("checkpoint_steps", "tokens_per_second", "price_per_hour", "budget_usd"),
    *("modality_adapters", "validation_written", "written_steps", "tensorboard", "mlflow"),
}


class FitSettings(BaseModel):
    """Settings of a LoRA fit; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    quantisation: Literal["none", "nf4"] | None = Field(default=None, description="None is the base model's own")
    rank: int = Field(default=8, ge=1, le=64)
    alpha: int = Field(default=32, ge=1, le=1000)
    rslora: bool = Field(default=False, description="scale by the root of the rank (Kalajdzievski 2023)")
    dropout: float = Field(default=0.0, ge=0, lt=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    lora_plus: float = Field(default=1.0, ge=1, description="how much faster B learns than A (Hayou et al. 2024)")
    epochs: float = Field(default=1.0, gt=0)
    batch: int = Field(default=2, ge=1, description="packed rows a forward pass")
    accumulation: int = Field(default=16, ge=1, description="forward passes a step")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps")
    max_tokens: int = Field(default=1024, ge=32, description="of a packed row; longer findings are cut and counted")
    validation_reports: int = Field(default=100, ge=1)
    validation_steps: int = Field(default=0, ge=0, description="steps between validations; 0: at the ends only")
    validation_written: int = Field(default=24, ge=0, description="reports that impressions are written for; 0: none")
    written_steps: int = Field(default=0, ge=0, description="steps between such writings; 0: at the end only")
    patience: int = Field(default=0, ge=0, description="validations without gain that end a fit; 0 is no end")
    unified_reports: int = Field(default=0, ge=0, description="0 takes all")
    cluster_reports: int = Field(default=0, ge=0, description="0 takes all")
    cluster_minimum: int = Field(default=50, ge=1, description="a cluster with fewer gets no adapter")
    cluster_start: Literal["unified", "afresh"] = Field(default="unified", description="where cluster adapters start")
    modality_adapters: bool = Field(default=False, description="one a modality too, by the numbers of a cluster's")
    checkpoint_steps: int = Field(default=10, ge=1, description="steps between checkpoints")
    tokens_per_second: float = Field(default=0.0, ge=0, description="for the plan; 0 takes the last run record's")
    price_per_hour: float = Field(default=0.0, ge=0, description="dollars that an hour of the machine costs")
    budget_usd: float = Field(default=0.0, ge=0, description="dollars that all adapters may cost; 0 is no limit")
    tensorboard: bool = Field(default=False, description="event files beside the run record")
    mlflow: str = Field(default="", description="tracking URI that runs are told to; empty is none")
    seed: int = 0

    @model_validator(mode="after")
    def _goes_together(self) -> FitSettings:
        if self.budget_usd and not self.price_per_hour:
            raise ValueError(f"budget_usd is {self.budget_usd} and price_per_hour 0: no budget without a price")
        if self.patience and not self.validation_steps:
            raise ValueError(f"patience is {self.patience} and validation_steps 0: nothing to be patient about")
        return self

    def decisive(self) -> dict[str, Any]:
        """The settings that decide what an adapter learns."""
        return self.model_dump(exclude=_ASIDE)
