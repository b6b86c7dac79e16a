"""What new clusters are called, from how they write; a refit keeps what they were called."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

# Of clusters of one form, what one does and another does not.
_MARKS: Mapping[str, tuple[str, str]] = {
    "hedges": ("hedging", ""),
    "recommends": ("advising", ""),
    "compares": ("comparing", ""),
    "headed": ("headed", ""),
    "length": ("long", "short"),
    "closes_negative": ("closing", ""),
    "abbreviated": ("abbreviating", ""),
}
_CLEAR = 0.25
_SHORTER = 0.08


def form(profile: Mapping[str, float]) -> str:
    """ "list", "telegraphic" or "paragraph"."""
    if profile.get("listed", 0) > 0.5:
        return "list"
    return "telegraphic" if profile.get("fullness", 1) < 0.4 else "paragraph"


def name_clusters(profiles: Sequence[Mapping[str, float]], taken: Collection[str] = ()) -> list[str]:
    """A key for each profile, none of them in `taken`; a mark where forms are shared, a number where marks are."""
    names: list[str] = []
    forms = [form(profile) for profile in profiles]
    for at, profile in enumerate(profiles):
        others = [other for number, other in enumerate(profiles) if number != at and forms[number] == forms[at]]
        mark = _mark(profile, others) if others else ""
        name = wanted = f"{forms[at]}-{mark}" if mark else forms[at]
        number = 1
        while name in taken or name in names:
            number += 1
            name = f"{wanted}-{number}"
        names.append(name)
    return names


def _mark(profile: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> str:
    apart = {
        feature: profile.get(feature, 0) - sum(other.get(feature, 0) for other in others) / len(others)
        for feature in _MARKS
    }
    clear = {name: _SHORTER if name == "length" else _CLEAR for name in _MARKS}
    for feature in sorted(apart, key=lambda name: -abs(apart[name]) / clear[name]):
        more, less = _MARKS[feature]
        if abs(apart[feature]) < clear[feature]:
            return ""
        if mark := more if apart[feature] > 0 else less:
            return mark
    return ""
