"""The memorisation test of a bundle: which reports it learnt, all of them and no others, and what comes out of it."""

from __future__ import annotations

from pathlib import Path

from radimpress.clustering.clusters import Clusters
from radimpress.eval.memorisation import Memorisation, measure_memorisation
from radimpress.eval.predict import Writer
from radimpress.reports.errors import BundleError, ConfigError, NotFoundError
from radimpress.reports.progress import Track
from radimpress.reports.report import Report
from radimpress.reports.split import Split
from radimpress.server.recipe import Recipe
from radimpress.server.steps import plan_adapters
from radimpress.trainer.bundle import AdapterBundle, open_bundle


def memorised(
    bundle: AdapterBundle,
    parts: Split,
    clusters: Clusters,
    writer: Writer,
    recipe: Recipe,
    *,
    reports: int,
    seed: int,
    track: Track,
) -> Memorisation:
    """Asks a bundle for impressions that it learnt, and for as many of the test part.

    Raises:
        ConfigError: it was not fitted on what the recipe plans from these parts.
        InputError: nothing can be compared.
    """
    learnt = learnt_reports(bundle, parts, clusters, recipe)
    limit = recipe.eval.max_tokens
    return measure_memorisation(
        learnt, parts.test, writer, bundle, max_tokens=limit, reports=reports, seed=seed, track=track
    )


def learnt_reports(bundle: AdapterBundle, parts: Split, clusters: Clusters, recipe: Recipe) -> tuple[Report, ...]:
    """Every report that a bundle learnt from, and those of the bundle that it started from.

    Raises:
        ConfigError: it was not fitted on what the recipe plans from these parts, or the bundle that it started from
            is not beside it.
    """
    planned = {adapter.name: adapter for adapter in plan_adapters(parts, clusters, recipe).adapters}
    found: dict[str, Report] = {}
    current: AdapterBundle | None = bundle
    while current is not None:
        adapter = planned.get(current.name)
        # A test on other reports than those that were learnt would pass anybody.
        if adapter is None or adapter.digest != current.manifest.get("data", {}).get("digest"):
            raise ConfigError(f"{current.name} was not fitted on what this recipe plans from these reports")
        found |= {report.id: report for report in adapter.reports}
        start = current.manifest.get("start")
        current = _beside(bundle.path.parent.parent, str(start), current.name) if start else None
    return tuple(found.values())


def _beside(folder: Path, digest: str, name: str) -> AdapterBundle:
    for path in sorted(folder.glob("*/*/manifest.json")):
        try:
            bundle = open_bundle(path.parent)
        except (NotFoundError, BundleError):
            continue
        if bundle.digest == digest:
            return bundle
    raise ConfigError(f"{name} started from {digest[:12]}, which is not in {folder}: what that learnt is not known")
