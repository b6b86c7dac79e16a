from __future__ import annotations

from datetime import UTC, datetime
from threading import Thread
from typing import Any

import grpc
import pytest

from radimpress.clustering.cell import Cell
from radimpress.reports.report import Modality
from radimpress.server.routes import AdapterVersion, Arm, Reason, TrialKind
from radimpress.server.telemetry import Metrics

CELL = Cell(Modality.CT, "list")
UNIFIED = AdapterVersion("unified", 2, "d" * 64, "fake", "0" * 64, 2, "unified/x", "e" * 64, datetime.now(UTC))
IN_CELL = {"adapter": "unified@2", "modality": "CT", "cluster": "list", "arm": "incumbent"}
GENERATE = "/radimpress.v1.ImpressionService/GenerateImpression"


def answer(metrics: Metrics, adapter: AdapterVersion | None = UNIFIED, arm: Arm = Arm.INCUMBENT, **given: Any) -> None:
    """Counts an answer in which nothing is out of the ordinary but what is given."""
    usual = {"reason": Reason.CELL, "seconds": 0.3, "first_token_seconds": 0.04, "prompt_tokens": 90, "tokens": 20}
    metrics.answered(adapter, CELL, arm, **{**usual, "checks": (), **given})


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One series, as Prometheus would read it."""
    return metrics.registry.get_sample_value(f"radimpress_{name}", labels)


def series(metrics: Metrics, name: str) -> list[dict[str, str]]:
    """The labels of every series of a metric."""
    return [
        one.labels
        for family in metrics.registry.collect()
        for one in family.samples
        if one.name == f"radimpress_{name}"
    ]


def test_an_answer_counts_for_its_adapter_slice_arm_and_reason() -> None:
    metrics = Metrics()
    answer(metrics)
    answer(metrics)
    answer(metrics, arm=Arm.CANARY, reason=Reason.CANARY)
    assert value(metrics, "answers_total", **IN_CELL, reason="cell") == 2
    assert value(metrics, "answers_total", **{**IN_CELL, "arm": "canary"}, reason="canary") == 1
    assert value(metrics, "prompt_tokens_total", **IN_CELL) == 180
    assert value(metrics, "impression_tokens_total", **IN_CELL) == 40


def test_the_base_model_is_called_base() -> None:
    metrics = Metrics()
    answer(metrics, None, reason=Reason.NOT_JUDGED)
    assert value(metrics, "answers_total", **{**IN_CELL, "adapter": "base"}, reason="not_judged") == 1


def test_its_time_falls_into_the_buckets_above_it() -> None:
    metrics = Metrics()
    answer(metrics, seconds=0.3, first_token_seconds=0.04)
    assert value(metrics, "answer_seconds_bucket", **IN_CELL, le="0.25") == 0
    assert value(metrics, "answer_seconds_bucket", **IN_CELL, le="0.5") == 1
    assert value(metrics, "first_token_seconds_bucket", **IN_CELL, le="0.05") == 1
    assert value(metrics, "first_token_seconds_sum", **IN_CELL) == pytest.approx(0.04)


def test_a_first_token_that_nobody_saw_is_not_made_up() -> None:
    metrics = Metrics()
    answer(metrics, first_token_seconds=None)
    assert value(metrics, "first_token_seconds_count", **IN_CELL) == 0


def test_each_check_that_noticed_something_counts() -> None:
    metrics = Metrics()
    answer(metrics, checks=("laterality", "negation"))
    answer(metrics, checks=("laterality",))
    assert value(metrics, "noticed_total", **IN_CELL, check="laterality") == 2
    assert value(metrics, "noticed_total", **IN_CELL, check="negation") == 1


def test_a_call_counts_with_its_code() -> None:
    metrics = Metrics()
    metrics.rpc(GENERATE, grpc.StatusCode.OK, 0.2)
    metrics.rpc(GENERATE, grpc.StatusCode.RESOURCE_EXHAUSTED, 0.001)
    assert value(metrics, "rpcs_total", method=GENERATE[1:], code="OK") == 1
    assert value(metrics, "rpcs_total", method=GENERATE[1:], code="RESOURCE_EXHAUSTED") == 1
    assert value(metrics, "rpc_seconds_count", method=GENERATE[1:]) == 2


def test_no_caller_makes_a_series() -> None:
    metrics = Metrics()
    for number in range(100):
        metrics.rpc(f"/made.up/{number}", grpc.StatusCode.UNIMPLEMENTED, 0.0)
    assert series(metrics, "rpcs_total") == [{"method": "other", "code": "UNIMPLEMENTED"}]
    assert value(metrics, "rpcs_total", method="other", code="UNIMPLEMENTED") == 100


def test_an_adapter_that_left_the_device_is_no_longer_shown() -> None:
    metrics = Metrics()
    metrics.resident(["unified@1", "unified@2"])
    metrics.resident(["unified@2", "cluster-list@1"])
    shown = {one["adapter"] for one in series(metrics, "resident_adapter")}
    assert shown == {"unified@2", "cluster-list@1"}


def test_gauges_show_what_was_told_last() -> None:
    metrics = Metrics()
    metrics.queue(7, 16)
    metrics.queue(3, 15)
    metrics.table(12, trials=2)
    metrics.journal_queue(5)
    assert value(metrics, "waiting_requests") == 3
    assert value(metrics, "running_requests") == 15
    assert value(metrics, "route_table") == 12
    assert value(metrics, "trial_slices") == 2
    assert value(metrics, "journal_waiting") == 5


def test_trials_that_ended_and_shadows_that_were_dropped_count() -> None:
    metrics = Metrics()
    metrics.trial_ended(UNIFIED, TrialKind.CANARY)
    metrics.shadow_dropped()
    assert value(metrics, "trials_ended_total", adapter="unified@2", kind="canary") == 1
    assert value(metrics, "shadows_dropped_total") == 1


def test_nothing_is_lost_between_threads() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(500):
            answer(metrics, checks=("phi",))
            metrics.rpc(GENERATE, grpc.StatusCode.OK, 0.1)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "answers_total", **IN_CELL, reason="cell") == 2000
    assert value(metrics, "noticed_total", **IN_CELL, check="phi") == 2000
    assert value(metrics, "rpcs_total", method=GENERATE[1:], code="OK") == 2000


def test_two_servers_of_one_process_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.table(3)
    assert value(other, "route_table") == 0


def test_answers_are_counted_by_the_engine_that_wrote_where_there_are_several() -> None:
    metrics = Metrics()
    answer(metrics)
    assert series(metrics, "engine_answers_total") == []
    answer(metrics, engine="http://vllm-0:8000")
    assert value(metrics, "engine_answers_total", engine="http://vllm-0:8000") == 1
