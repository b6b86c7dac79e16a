"""The figures as a picture: how far each is from what was to be reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from radimpress.server.bench.material import Figure

_WIDTH, _ROW, _TOP = 1000, 30, 64
_LEFT, _RIGHT = 500, 860
# The axis goes from a quarter of what was to be reached to sixteen times that.
_LOW, _HIGH = math.log2(1 / 4), math.log2(16)
_MET, _MISSED, _INK, _GRID = "#1f6feb", "#d1570b", "#24292f", "#d0d7de"


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached.

    Attributes:
        text: what the figure is.
        value: to reach.
        least: whether more is better.
        unit: printed behind it.
    """

    text: str
    value: float
    least: bool = True
    unit: str = ""

    def met(self, figure: Figure) -> bool:
        """Whether the median reaches it."""
        return figure.value >= self.value if self.least else figure.value <= self.value


TARGETS = {
    "A_decode": Target("8 adapters mixed over base alone, writing", 0.9),
    "A_prefill": Target("the same, reading 512 tokens", 0.9),
    "B": Target("8 adapters mixed over PEFT", 3),
    "C_prefill": Target("8 adapters mixed over vLLM on the CPU, reading", 5),
    "C_decode": Target("the same, writing", 1.5),
    "C_whole": Target("the same, whole requests", 2),
    "D_floor": Target("base alone over its linear layers alone", 0.75),
    "D_int8": Target("int8 over fp32", 1.5),
    "E": Target("verified load of an adapter over PEFT's load", 10),
    "E_ms": Target("verified load", 50, least=False, unit=" ms"),
    "F": Target("longest gaps while adapters load, over quiet", 1.2, least=False),
    "G": Target("first token, 4 adapters a slot over a slot each", 2, least=False),
    "H": Target("throughput of 1,000 adapters over 8", 0.8),
    "I": Target("tokens of a wrong adapter under churn", 0, least=False),
    "J_missed": Target("faulty adapters let in", 0, least=False),
}


def draw(figures: Mapping[str, Figure]) -> str:
    """An SVG of the figures that have a target: right of the line is better; a bar is the range of the rounds."""
    rows = [(name, target, figures[name]) for name, target in TARGETS.items() if name in figures]
    height = _TOP + _ROW * len(rows) + 30
    bottom = height - 22
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="16">The engine, measured: median and range of the rounds</text>',
    ]
    for times in (0.25, 0.5, 1, 2, 4, 8, 16):
        x = _place(times)
        line = _INK if times == 1 else _GRID
        label = "to reach" if times == 1 else f"x{times:g}"
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{bottom}" stroke="{line}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_TOP - 14}" text-anchor="middle" font-size="11">{label}</text>')
    for at, (name, target, figure) in enumerate(rows):
        parts += _row(_TOP + _ROW * at + _ROW // 2, name, target, figure)
    return "\n".join([*parts, "</svg>", ""])


def _row(y: int, name: str, target: Target, figure: Figure) -> list[str]:
    colour = _MET if target.met(figure) else _MISSED
    sign = "\u2265" if target.least else "\u2264"
    # A count has no ratio to none: it stands on the line or at the axis's end.
    if target.value:
        ends = [value / target.value if target.least else target.value / value for value in _values(figure)]
    else:
        ends = [1.0 if value <= target.value else 0.25 for value in _values(figure)]
    value, low, high = (_place(end) for end in ends)
    said = f"{figure.value:.3g}{target.unit} ({sign} {target.value:g})"
    return [
        f'<text x="16" y="{y + 4}">{escape(name)}</text>',
        f'<text x="96" y="{y + 4}">{escape(target.text)}</text>',
        f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{colour}" stroke-width="5" opacity="0.4"/>',
        f'<circle cx="{value:.1f}" cy="{y}" r="5" fill="{colour}"/>',
        f'<text x="{_WIDTH - 8}" y="{y + 4}" text-anchor="end" font-size="11" fill="{colour}">{said}</text>',
    ]


def _values(figure: Figure) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high


def _place(times: float) -> float:
    reach = min(max(math.log2(max(times, 2**_LOW)), _LOW), _HIGH)
    return _LEFT + (_RIGHT - _LEFT) * (reach - _LOW) / (_HIGH - _LOW)
