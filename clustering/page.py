"""The page of clusters: who writes alike, how sure that is, and why; one HTML file that opens offline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.explain import explain
from radimpress.clustering.figures import NOBODY, cluster_map, dendrogram, library, profiles, shown
from radimpress.reports.files import write_atomic
from radimpress.reports.markup import Html, digest, document, el, table, text
from radimpress.reports.report import Report

Exemplars = Mapping[str, Sequence[Report]]

# More of a cluster's clinics than these are told by number, and stand in the table of clinics.
_MEMBERS = 12
_SURE = 0.9


def write_clusters_page(path: Path, clusters: Clusters, exemplars: Exemplars) -> None:
    """Writes the page, atomically; with exemplars it holds report texts. Only its owner may read it."""
    sections: list[tuple[str, str, Iterable[Html]]] = [("map", "Map of clinics", _map(clusters))]
    sections.append(("clusters", "Clusters", _clusters(clusters, exemplars)))
    sections.append(("clinics", "Clinics", _clinics(clusters)))
    if clusters.merges:
        sections.append(("joins", "How clinics join", _joins(clusters)))
    sections.append(("tried", "Methods and numbers tried", _tried(clusters)))
    sections.append(("moved", "What moved", _moved(clusters)))
    sections.append(("profiles", "Style profiles", _profiles(clusters)))
    write_atomic(path, document("radimpress: who writes alike", library(), _headline(clusters, exemplars), sections))


def tried_table(clusters: Clusters) -> Html:
    """Method by number: silhouette and stability of each; what was chosen stands out."""
    numbers = sorted({tried.number for tried in clusters.tried})
    methods = list(dict.fromkeys(tried.method for tried in clusters.tried))
    found = {(tried.method, tried.number): tried for tried in clusters.tried}
    rows: list[list[object]] = []
    for method in methods:
        row: list[object] = [method]
        for number in numbers:
            one = found.get((method, number))
            if one is None:
                row.append(el("td", el("span", "-", class_="none")))
                continue
            told = f"{one.silhouette:.2f} / {one.stability:.2f}"
            row.append(el("td", el("b", told), el("small", "chosen"), class_="PASS") if one.chosen else told)
        rows.append(row)
    head = ("method", *(f"{number} cluster{'s' * (number != 1)}" for number in numbers))
    return table("Silhouette / stability, each from -1 to 1", head, rows)


def _headline(clusters: Clusters, exemplars: Exemplars) -> Iterable[Html]:
    count = len(clusters.names)
    yield el("h1", "Who writes alike")
    yield el(
        "p",
        f"{_number(len(clusters.profiles), 'clinic')} in {_number(count, 'cluster')}: {clusters.why}.",
        class_="lead",
    )
    if exemplars:
        warning = "It quotes impressions from the training reports. Keep it as you keep reports."
        yield el("p", el("strong", "This page holds report texts"), warning, class_="notice", role="note")
    if left := [one.title for one in clusters.clusters.values() if one.unified]:
        told = f"Too few reports for an adapter of their own: {', '.join(left)}."
        yield el("p", el("strong", "Left to the unified adapter"), told, class_="notice", role="note")
    chosen = clusters.chosen
    facts = {
        "Clinics": f"{len(clusters.clinics)} placed, {len(clusters.unsure)} not sure",
        "Clusters": str(count),
        "Reports": f"{sum(one.reports for one in clusters.clusters.values()):,}",
        "Method": f"{chosen.method}, silhouette {chosen.silhouette:.2f}, stability {chosen.stability:.2f}"
        if chosen
        else "one cluster",
        "Embedding model": f"{clusters.embedder} {clusters.embedder_digest[:8]}",
        "Fit": f"version {clusters.version}",
    }
    yield el("dl", *(el("div", el("dt", name), el("dd", fact)) for name, fact in facts.items()), class_="facts")


def _map(clusters: Clusters) -> Iterable[Html]:
    if len(clusters.profiles) < 2 or not (clusters.points or any(one.place for one in clusters.members.values())):
        yield el("p", f"There is no map to draw: {clusters.why}.")
        return
    yield el("p", "Clinics that are written alike lie near each other; what they scan was taken away before.")
    caption = (
        "A circle holds 95% of a clinic's bootstrap fits: where circles overlap, the map does not tell clinics apart. "
        "Small marks are bags of a clinic's reports."
    )
    yield shown(cluster_map(clusters), "figure-map", caption)


def _clusters(clusters: Clusters, exemplars: Exemplars) -> Iterable[Html]:
    told = (
        "what is told of a cluster differs from the others by more than chance makes"
        if len(clusters.names) > 1
        else "with no other cluster to hold it against, the commonest habits are told"
    )
    yield el(
        "p", f"Figures are means at the average case mix, so that what is scanned does not pass for style; {told}."
    )
    for name in clusters.names:
        known = clusters.clusters.get(name)
        inside = [clinic for clinic, other in clusters.clinics.items() if other == name]
        head = el(
            "h3", clusters.title(name), *([" ", el("small", f"key {name}")] if clusters.title(name) != name else [])
        )
        reports = f", {_number(known.reports, 'report')}" if known else ""
        yield el(
            "article",
            head,
            el("p", f"{_number(len(inside), 'clinic')}{reports}: {_few(inside)}", class_="small"),
            *_traits(clusters, name),
            *([el("p", f"Left to the unified adapter: {known.unified}.")] if known and known.unified else []),
            *_examples(exemplars.get(name, ())),
        )


def _traits(clusters: Clusters, name: str) -> Iterable[Html]:
    traits = explain(clusters, name) if name in clusters.clusters else ()
    if traits:
        yield el("ul", *(el("li", trait.text, " ", el("small", trait.doubt, class_="none")) for trait in traits))
    else:
        yield el("p", "No single habit sets it apart by more than chance makes.")


def _examples(reports: Sequence[Report]) -> Iterable[Html]:
    if reports:
        texts = (text(f"{report.clinic} · {report.modality}", report.impression, note=report.id) for report in reports)
        yield el("div", *texts, class_="beside")


def _clinics(clusters: Clusters) -> Iterable[Html]:
    yield el(
        "p",
        "Sure is the share of bootstrap fits in which a clinic lies nearest to the cluster that it is in; of a clinic "
        "with too few reports to be fitted, the probability of the cluster that it was assigned to.",
    )
    rows = []
    order = sorted(clusters.profiles, key=lambda clinic: (clusters.of(clinic) or "~", clinic))
    for clinic in order:
        member, name = clusters.members.get(clinic), clusters.of(clinic)
        note = clusters.unsure.get(clinic, "") or (member.note if member else "")
        sure = el("td", "-" if member is None else f"{member.sure:.0%}")
        if member is not None and name and member.sure < _SURE:
            sure = el("td", f"{member.sure:.0%}", class_="INSUFFICIENT")
        seen = (f"{member.reports:,}", f"{member.units:,}") if member else ("-", "-")
        home: object = clusters.title(name) if name else el("td", el("span", NOBODY, class_="none"))
        rows.append([clinic, home, *seen, sure, note])
    head = ["clinic", "cluster", "reports read", "patients", "sure", "note"]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    listed = table("Clinics", head, rows)
    yield el("details", el("summary", f"All {len(rows)} clinics"), listed) if len(rows) > 3 * _MEMBERS else listed


def _joins(clusters: Clusters) -> Iterable[Html]:
    yield el("p", "From the left, clinics that are likest join first; long bars are clear divisions.")
    caption = "Ward's method on the places of clinics; marks are clusters as on the map."
    yield shown(dendrogram(clusters), "figure-joins", caption, "tall")


def _tried(clusters: Clusters) -> Iterable[Html]:
    yield el("p", f"{clusters.why[:1].upper()}{clusters.why[1:]}.")
    if clusters.tried:
        yield tried_table(clusters)
        yield el(
            "p",
            "Silhouette says how much nearer clinics lie to their own cluster than to the next; stability how alike "
            "partings of resampled profiles come out (adjusted Rand index).",
            class_="small",
        )


def _moved(clusters: Clusters) -> Iterable[Html]:
    if not clusters.before:
        yield el("p", "This is the first fit: there is nothing to compare with.")
        return
    yield el(
        "p", "Compared with the fit before it, ", digest(clusters.before), f": {_number(len(clusters.moved), 'move')}."
    )
    if clusters.moved:
        rows = [
            [one.clinic, _home(clusters, one.before), _home(clusters, one.after), one.why] for one in clusters.moved
        ]
        yield table("Clinics that moved", ("clinic", "before", "now", "why"), rows)


def _profiles(clusters: Clusters) -> Iterable[Html]:
    caption = "The mean of each style feature, from 0 (pale) to 1 (dark); what each counts stands in the documentation."
    yield shown(profiles(clusters), "figure-profiles", caption)


def _home(clusters: Clusters, name: str) -> str:
    return clusters.title(name) if name else NOBODY


def _few(clinics: Sequence[str]) -> str:
    more = len(clinics) - _MEMBERS
    return ", ".join(sorted(clinics)[:_MEMBERS]) + (f" and {more} more" if more > 0 else "")


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"
