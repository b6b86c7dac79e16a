from __future__ import annotations

import pytest

from radimpress.reports.errors import RateError
from radimpress.server.security import limiter as module
from radimpress.server.security.limiter import Limiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_what_follows_it_is_refused() -> None:
    limiter = Limiter(2.0, 3, Clock())
    for _ in range(3):
        limiter.take("a")
    with pytest.raises(RateError) as caught:
        limiter.take("a")
    assert caught.value.retry_seconds == pytest.approx(0.5)


def test_who_waits_as_long_as_told_passes() -> None:
    clock = Clock()
    limiter = Limiter(2.0, 1, clock)
    limiter.take("a")
    with pytest.raises(RateError) as caught:
        limiter.take("a")
    clock.now += caught.value.retry_seconds
    limiter.take("a")


def test_a_refusal_takes_nothing() -> None:
    clock = Clock()
    limiter = Limiter(1.0, 1, clock)
    limiter.take("a")
    for _ in range(100):
        with pytest.raises(RateError):
            limiter.take("a")
    clock.now += 1.0
    limiter.take("a")


def test_over_a_long_time_the_rate_passes() -> None:
    clock = Clock()
    limiter, passed = Limiter(10.0, 5, clock), 0
    for _ in range(10_000):
        clock.now += 0.01
        try:
            limiter.take("a")
        except RateError:
            continue
        passed += 1
    assert passed == pytest.approx(10 * 100, abs=6)


def test_a_bucket_holds_no_more_than_the_burst_however_long_nobody_asks() -> None:
    clock = Clock()
    limiter = Limiter(10.0, 2, clock)
    clock.now += 3600
    limiter.take("a")
    limiter.take("a")
    with pytest.raises(RateError):
        limiter.take("a")


def test_each_subject_has_its_own_bucket() -> None:
    limiter = Limiter(1.0, 1, Clock())
    limiter.take("a")
    limiter.take("b")
    with pytest.raises(RateError):
        limiter.take("a")


def test_whoever_is_held_up_waits_each_time_longer_so_that_the_rate_is_kept() -> None:
    limiter = Limiter(4.0, 2, Clock())
    assert [limiter.delay("a") for _ in range(5)] == pytest.approx([0.0, 0.0, 0.25, 0.5, 0.75])


def test_the_subjects_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SUBJECTS", 3)
    limiter = Limiter(1.0, 1, Clock())
    for subject in "abcda":
        limiter.take(subject)
    with pytest.raises(RateError):
        limiter.take("d")
