"""The recipe: every number of the pipeline in one TOML file; unknown keys are refused."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radimpress.clustering.embed import DEFAULT_EMBEDDER
from radimpress.eval.gate import Rule
from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.reports.funnel import Thresholds
from radimpress.reports.read import Reading
from radimpress.reports.report import Modality
from radimpress.server.settings import explain
from radimpress.trainer.bases import DEFAULT_BASE
from radimpress.trainer.settings import FitSettings


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitRecipe(_Section):
    """How reports are parted."""

    seed: int = 0
    train: float = Field(default=0.70, gt=0, lt=1)
    test: float = Field(default=0.15, gt=0, lt=1)


class ClusterRecipe(_Section):
    """How clinics are grouped."""

    seed: int = 0
    largest: int = Field(default=12, ge=1, description="number of clusters")
    per_clinic: int = Field(default=400, ge=1, description="reports of a clinic that are read, at most")
    embedder: str = Field(
        default=DEFAULT_EMBEDDER, min_length=1, description="a folder, or a sentence-transformers model of the hub"
    )


class AugmentRecipe(_Section):
    """Which modalities get more training reports, made of their own."""

    modalities: tuple[Modality, ...] = Field(default=(), description="DICOM codes; none makes nothing")
    times: float = Field(default=2.0, gt=1, le=10, description="reports of a modality after, by those before")
    cap: int = Field(default=3, ge=1, description="made of one report, at most")
    seed: int = 0


class EvalRecipe(_Section):
    """How adapters are evaluated."""

    seed: int = 0
    cases: int = Field(default=0, ge=0, description="held-out cases at most, slices in turn; 0 takes all")
    per_modality: int = Field(default=0, ge=0, description="held-out cases of each modality; cases must be 0 then")
    max_tokens: int = Field(default=256, ge=1, description="of an impression")
    few_shot: int = Field(default=2, ge=0, le=16, description="worked examples for the few-shot baseline; 0: none")

    @model_validator(mode="after")
    def _one_way(self) -> EvalRecipe:
        if self.cases and self.per_modality:
            raise ValueError(f"cases is {self.cases} and per_modality {self.per_modality}: one of them must be 0")
        return self


class Recipe(_Section):
    """The whole pipeline's settings; the defaults are the published experiment's."""

    base: str = DEFAULT_BASE
    read: Reading = Reading()
    filter: Thresholds = Thresholds()
    split: SplitRecipe = SplitRecipe()
    cluster: ClusterRecipe = ClusterRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    train: FitSettings = FitSettings()
    eval: EvalRecipe = EvalRecipe()
    gate: Rule = Rule()


def load_recipe(path: Path | None) -> Recipe:
    """Reads a recipe; None gives the defaults.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: names each key and what is wrong with it.
    """
    if path is None:
        return Recipe()
    try:
        return _parse(path.read_text("utf-8"), str(path))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({type(error).__name__})") from None


def demo_recipe() -> Recipe:
    """The small recipe that ships for `radimpress demo`."""
    return _parse(files("radimpress.server").joinpath("demo.toml").read_text("utf-8"), "demo.toml")


def _parse(text: str, where: str) -> Recipe:
    try:
        return Recipe(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from None
