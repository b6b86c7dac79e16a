from __future__ import annotations

import random

from radimpress.eval.nearest import Nearest
from radimpress.reports.report import Report
from radimpress.reports.split import groups
from radimpress.reports.synthetic import synthesize

TRAIN = list(synthesize(300, 0, 0.0))


def test_a_training_report_is_its_own_nearest_where_groups_do_not_forbid_it() -> None:
    some = random.Random(0).sample(TRAIN, 20)
    for report, found in zip(some, Nearest(TRAIN).search(some, [""] * 20, 1), strict=True):
        assert found[0].findings == report.findings


def test_a_report_of_the_same_group_is_never_found() -> None:
    own = dict(zip((report.id for report in TRAIN), groups(TRAIN), strict=True))
    found = Nearest(TRAIN).search(TRAIN, list(own.values()), 3)
    for report, near in zip(TRAIN, found, strict=True):
        assert len(near) == 3
        assert own[report.id] not in {own[other.id] for other in near}


def test_more_queries_than_fit_into_one_product_are_all_answered_alike() -> None:
    index = Nearest(TRAIN)
    alone = [index.search([report], ["none"], 2)[0] for report in TRAIN[250:270]]
    assert index.search(TRAIN, ["none"] * len(TRAIN), 2)[250:270] == alone


def test_equals_come_in_the_order_of_training() -> None:
    same = [Report(id=str(at), findings="Clear lungs.", patient=str(at)) for at in range(4)]
    found = Nearest(same).search([Report(id="x", findings="Clear lungs.")], ["none"], 3)
    assert [report.id for report in found[0]] == ["0", "1", "2"]
