"""Clusters of any size, made up, for pages: what a fit would write, without a fit."""

from __future__ import annotations

import random

from radimpress.clustering.clusters import Clusters
from radimpress.clustering.features import NAMES
from radimpress.clustering.values import Cluster, Member, Move, Point, Tried

EVIL = "<script>alert('x')</script>"


def many(clinics: int, styles: int, seed: int = 0) -> Clusters:
    """So many clinics in so many clusters; the last clinic is in none, and a name tries to be markup."""
    from scipy.cluster.hierarchy import linkage

    chance = random.Random(seed)
    names = [f"clinic {at:03d}" for at in range(clinics - 1)] + [f"z {EVIL}"]
    keys = [f"style-{at}" for at in range(styles)]
    home = {name: keys[at % styles] for at, name in enumerate(names)}
    centre = {key: [chance.random() for _ in NAMES] for key in keys}
    profiles = {
        name: dict(zip(NAMES, (min(1, max(0, v + chance.gauss(0, 0.03))) for v in centre[home[name]]), strict=True))
        for name in names
    }
    corner = {key: (chance.uniform(-9, 9), chance.uniform(-9, 9)) for key in keys}
    members = {
        name: Member(
            reports=100,
            units=90,
            adjusted=profiles[name],
            error=dict.fromkeys(NAMES, 0.02),
            sure=0.5 if at == 1 else 0.99,
            place=(0.0,),
            x=corner[home[name]][0] + chance.gauss(0, 0.5),
            y=corner[home[name]][1] + chance.gauss(0, 0.5),
            spread=0.2,
            note=f"moved in {EVIL}" if at == 1 else "",
        )
        for at, name in enumerate(names)
    }
    placed = {name: key for name, key in home.items() if name != names[-1] or clinics == 1}
    merges = linkage([[member.x, member.y] for member in members.values()], "ward") if clinics > 1 else ()
    return Clusters(
        clinics=placed,
        profiles=profiles,
        embedder="none",
        embedder_digest="e" * 64,
        data="0" * 64,
        why=f"{styles} of them",
        version=3,
        before="b" * 64,
        clusters={
            key: Cluster(
                title=f"Title {key} {EVIL}" if key == keys[0] else key,
                reports=100 * sum(other == key for other in placed.values()),
                adjusted=dict(zip(NAMES, centre[key], strict=True)),
                error=dict.fromkeys(NAMES, 0.02),
                unified="20 reports, and 50 are needed" if key == keys[-1] and styles > 1 else "",
            )
            for key in keys
        },
        members=members,
        unsure={} if clinics == 1 else {names[-1]: "it writes in no known style"},
        tried=tuple(
            Tried(
                method=method,
                number=number,
                silhouette=0.5,
                stability=0.75,
                chosen=(method, number) == ("ward", styles),
            )
            for method in ("ward", "mixture")
            for number in range(2, 6)
        ),
        moved=(Move(clinic=names[0], before="", after=keys[0], why=f"more lists {EVIL}"),),
        points=tuple(Point(clinic=name, x=members[name].x, y=members[name].y) for name in names for _ in range(3)),
        leaves=tuple(names),
        merges=tuple(tuple(row) for row in merges),
    )
