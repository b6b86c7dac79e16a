from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from radimpress.clustering.adjust import Effects, make_cells
from radimpress.clustering.choose import Choice
from radimpress.clustering.metric import Metric, Places
from radimpress.clustering.settle import Settled, settle

CLINICS = ("a", "b", "big")


def _settled(minimum: int) -> Settled:
    """Three clinics on a line, each a part: "b" is unsure enough to be near "a", and not the other way round."""
    one, none = np.eye(1), np.zeros((1, 1))
    metric = Metric(one, np.zeros(1), one, Effects(none, np.zeros((0, 1)), np.ones((2, 1))), one, one, none)
    plain = np.array([[0.0], [6.0], [100.0]])
    swing = np.resize([5.0, -5.0], 100)
    again = plain + np.stack([0 * swing, swing, 0 * swing], axis=1)[:, :, None]
    places = Places(np.full(3, 40.0), np.full(3, 40.0), plain, again, np.ones(3))
    cells = make_cells(CLINICS, ["CT"] * 3, [""] * 3)
    totals = Counter({"a": 10, "b": 45, "big": 100})
    return settle(Choice(np.arange(3), (), ""), metric, places, cells, totals, minimum, {})


@pytest.mark.parametrize(("minimum", "said"), [(50, []), (60, ["55 reports are fewer than the 60"])])
def test_a_cluster_that_others_join_is_counted_anew(minimum: int, said: list[str]) -> None:
    found = _settled(minimum)
    assert found.labels.tolist() == [0, 0, 1]
    assert [why[: len(told)] for why, told in zip(found.unified.values(), said, strict=True)] == said
