"""Keeps a cluster's key and title over refits, and says who moved and why.

Old and new clusters are paired so that they share most of their clinics (Hungarian method, Kuhn 1955); where none of
the old clinics is left, by how alike they write. A new cluster that is nobody's successor gets a key that no cluster
had, since adapters of the old one must never serve it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.values import Move

# Profiles whose features differ by less than this on average are of one way of writing.
_ALIKE = 0.05
_SHOWN = 3
_CHANGED = 0.1

Profiles = Mapping[str, Mapping[str, float]]


def match(before: Clusters, groups: Sequence[Sequence[str]], profiles: Sequence[Mapping[str, float]]) -> list[str]:
    """Key of each new group's predecessor; empty where it has none.

    Args:
        before: the earlier fit.
        groups: clinics of each new cluster.
        profiles: adjusted style features of each new cluster.
    """
    from scipy.optimize import linear_sum_assignment

    names = before.names
    score = np.zeros((len(groups), len(names)))
    for row, group in enumerate(groups):
        for column, name in enumerate(names):
            old = {clinic for clinic, other in before.clinics.items() if other == name}
            new = set(group)
            shared = len(old & new) / len(old | new)
            # Clinics come first; where they do not tell, the way of writing does.
            known = before.clusters.get(name)
            alike = _alike(known.adjusted, profiles[row]) if known else 0.0
            gone = not (old & set().union(*map(set, groups)))
            score[row, column] = shared + (alike * 0.5 if gone and not new & set(before.clinics) else 0.0)
    rows, columns = linear_sum_assignment(-score)
    found = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    return [names[found[at]] if at in found and score[at, found[at]] > 0 else "" for at in range(len(groups))]


def _alike(old: Mapping[str, float], new: Mapping[str, float]) -> float:
    shared = [name for name in new if name in old]
    if not shared:
        return 0.0
    apart = float(np.mean([abs(old[name] - new[name]) for name in shared]))
    return max(0.0, 1 - apart / _ALIKE)


def moves(before: Clusters, clinics: Mapping[str, str], profiles: Profiles, unsure: Mapping[str, str]) -> list[Move]:
    """Clinics that are not where the earlier fit had them, sorted; new clinics are none."""
    made = []
    for clinic in sorted(set(before.clinics) | (set(before.unsure) & set(profiles))):
        old, new = before.clinics.get(clinic, ""), clinics.get(clinic, "")
        if old == new:
            continue
        made.append(Move(clinic=clinic, before=old, after=new, why=_why(before, clinic, new, profiles, unsure)))
    return made


def _why(before: Clusters, clinic: str, new: str, profiles: Profiles, unsure: Mapping[str, str]) -> str:
    if clinic not in profiles:
        return "it has no reports any more"
    then, now = before.profiles.get(clinic, {}), profiles[clinic]
    shared = [name for name in now if name in then]
    order = sorted(shared, key=lambda name: -abs(now[name] - then[name]))[:_SHOWN]
    told = [
        f"{name.replace('_', ' ')} {then[name]:.2f} to {now[name]:.2f}"
        for name in order
        if abs(now[name] - then[name]) >= _CHANGED
    ]
    if not new:
        return unsure.get(clinic, "nobody is sure of it any more") + (f"; {', '.join(told)}" if told else "")
    if told:
        return f"it writes otherwise: {', '.join(told)}"
    kept = {other for other, name in before.clinics.items() if name == before.clinics.get(clinic)} & set(profiles)
    if len(kept) > 1:
        return "it writes as before; the clusters around it changed"
    return "it writes as before; more is known of it or of the others now"
