from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import pytest

from radimpress.reports.errors import DeadlineError, OverloadError
from radimpress.server.admission import Admission


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _took(admission: Admission, clock: Clock, seconds: float, times: int = 1) -> None:
    """Requests that come one after the other, each alone."""
    for _ in range(times):
        with admission.place(None):
            clock.now += seconds


def _late(admission: Admission, clock: Clock, seconds: float) -> None:
    """A request whose deadline passes."""
    try:
        with admission.place(None):
            clock.now += seconds
            raise DeadlineError("late")
    except DeadlineError:
        pass


def test_nobody_is_refused_while_there_is_a_free_place(clock: Clock) -> None:
    admission = Admission(2, 0, clock=clock)
    _took(admission, clock, 10.0, 5)
    with admission.place(0.001), admission.place(0.001):
        assert admission.busy


def test_who_would_wait_too_many_is_refused(clock: Clock) -> None:
    admission = Admission(1, 2, clock=clock)
    with admission.place(None), admission.place(None), admission.place(None):
        with pytest.raises(OverloadError, match="2 requests are waiting already"), admission.place(None):
            pass
        assert admission.inside == 3
    assert admission.inside == 0


def test_who_could_not_meet_the_deadline_is_told_when_to_come_again(clock: Clock) -> None:
    admission = Admission(1, 100, clock=clock)
    _took(admission, clock, 2.0)
    with admission.place(None), admission.place(None):
        # Two before it, its own, and half of one for where the others stand in theirs.
        assert admission.expected() == pytest.approx(7.0)
        with pytest.raises(OverloadError, match=r"would take 7\.0 s now") as caught, admission.place(6.0):
            pass
        assert caught.value.retry_seconds == pytest.approx(1.0)
        with admission.place(7.0):
            pass


def test_while_nothing_is_known_no_more_may_wait_than_run(clock: Clock) -> None:
    """A rush of a hundred at the start: four places, a second each, a deadline of three seconds."""
    admission = Admission(4, 1000, clock=clock)
    inside: list[_Request] = []
    for _ in range(100):
        made = _Request(admission.place(3.0), 3.0)
        with suppress(OverloadError):
            made.place.__enter__()
            inside.append(made)
    assert len(inside) == 8
    with pytest.raises(OverloadError, match="not known yet") as caught, admission.place(3.0):
        pass
    assert caught.value.retry_seconds == pytest.approx(0.1)
    # Nobody is late who has no deadline, and a batch keeps count of its own.
    with admission.place(None), admission.place(0.1, patient=True):
        pass


def test_the_first_that_ends_shows_how_long_it_takes(clock: Clock) -> None:
    admission = Admission(1, 100, clock=clock)
    first = _Request(admission.place(9.0), 9.0)
    first.place.__enter__()
    with admission.place(9.0):
        clock.now = 2.0
        first.leave(late=False)
        # Its own round, that of the one before, and half of one.
        with admission.place(5.0), pytest.raises(OverloadError, match=r"would take 7\.0 s"), admission.place(6.9):
            pass


def test_without_a_deadline_it_waits_for_ever(clock: Clock) -> None:
    admission = Admission(1, 10, clock=clock)
    _took(admission, clock, 1e6)
    with admission.place(None), admission.place(None):
        pass


def test_a_batch_waits_its_turn_outside_and_is_not_refused(clock: Clock) -> None:
    admission = Admission(1, 0, clock=clock)
    _took(admission, clock, 2.0)
    with admission.place(None), admission.place(0.1, patient=True):
        assert admission.inside == 2


@pytest.mark.parametrize("error", [KeyError, DeadlineError])
def test_a_place_is_free_again_whatever_happens(clock: Clock, error: type[Exception]) -> None:
    admission = Admission(1, 0, clock=clock)
    with pytest.raises(error), admission.place(None):
        raise error("x")
    assert admission.inside == 0


def test_a_few_long_answers_move_the_estimate_little(clock: Clock) -> None:
    admission = Admission(1, 10, clock=clock)
    _took(admission, clock, 1.0, 40)
    _took(admission, clock, 60.0, 2)
    assert admission.expected() == pytest.approx(1.0)


def test_the_estimate_follows_when_answers_take_longer_and_when_they_are_quick_again(clock: Clock) -> None:
    admission = Admission(1, 10, clock=clock)
    _took(admission, clock, 1.0, 64)
    _took(admission, clock, 5.0, 30)
    assert admission.expected() == pytest.approx(5.0)
    _took(admission, clock, 1.0, 64)
    assert admission.expected() == pytest.approx(1.0)


def test_one_that_was_broken_off_early_does_not_make_the_others_look_quick(clock: Clock) -> None:
    admission = Admission(1, 10, clock=clock)
    _took(admission, clock, 4.0, 3)
    for _ in range(64):
        with pytest.raises(KeyError), admission.place(None):
            raise KeyError
    assert admission.expected() == pytest.approx(4.0)


def test_one_that_was_broken_off_late_shows_that_it_takes_longer(clock: Clock) -> None:
    admission = Admission(1, 10, clock=clock)
    _took(admission, clock, 1.0)
    for _ in range(20):
        _late(admission, clock, 8.0)
    assert admission.expected() == pytest.approx(8.0)


def test_waiting_in_a_long_queue_is_not_taken_for_long_work(clock: Clock) -> None:
    admission = Admission(2, 100, clock=clock)
    with admission.place(None), admission.place(None), admission.place(None), admission.place(None):
        # Four with two at a time: two rounds.
        clock.now += 6.0
    assert admission.expected() == pytest.approx(6.0)
    _took(admission, clock, 3.0, 64)
    assert admission.expected() == pytest.approx(3.0)


def test_whoever_watches_is_told_who_waits_and_who_runs(clock: Clock) -> None:
    seen: list[tuple[int, int]] = []
    admission = Admission(1, 1, clock=clock, changed=lambda waiting, running: seen.append((waiting, running)))
    with admission.place(None), admission.place(None):
        pass
    assert seen == [(0, 1), (1, 1), (0, 1), (0, 0)]


@pytest.mark.parametrize(("seconds", "least", "most"), [(0.001, 0.1, 0.1), (1e6, 30.0, 30.0)])
def test_when_to_come_again_is_neither_at_once_nor_tomorrow(
    clock: Clock, seconds: float, least: float, most: float
) -> None:
    admission = Admission(1, 10, clock=clock)
    _took(admission, clock, seconds)
    with admission.place(None), pytest.raises(OverloadError) as caught, admission.place(seconds / 2):
        pass
    assert least <= caught.value.retry_seconds <= most


@dataclass(eq=False)
class _Request:
    """A request of the made server below."""

    place: AbstractContextManager[None]
    deadline: float
    ends: float = 0.0

    def leave(self, late: bool) -> None:
        error = DeadlineError("late") if late else None
        with suppress(DeadlineError):
            self.place.__exit__(type(error) if error else None, error, None)


def test_under_ten_times_the_load_those_let_in_meet_their_deadline(clock: Clock) -> None:
    """A made server of four places, a second each; forty come each second, with a deadline of three seconds."""
    admission = Admission(4, 1000, clock=clock)
    running: list[_Request] = []
    waiting: list[_Request] = []
    ended: list[tuple[float, bool]] = []
    refused = 0
    for tick in range(1000):
        clock.now = tick / 20
        for one in [*running, *waiting]:
            if clock.now >= one.deadline or (one in running and clock.now >= one.ends):
                (running if one in running else waiting).remove(one)
                one.leave(late=clock.now < one.ends or not one.ends)
                ended.append((clock.now, 0 < one.ends <= clock.now))
        while waiting and len(running) < 4:
            running.append(waiting.pop(0))
            running[-1].ends = clock.now + 1.0
        for _ in range(2):
            made = _Request(admission.place(3.0), clock.now + 3.0)
            try:
                made.place.__enter__()
            except OverloadError:
                refused += 1
            else:
                waiting.append(made)
    assert refused > 1600
    assert len(ended) == pytest.approx(196, abs=10)
    assert all(met for _, met in ended)
