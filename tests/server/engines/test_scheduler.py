from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radimpress.reports.errors import OverloadError
from radimpress.server.engines.scheduler import BASE_SLOT, Residency, Scheduler, Sequence, Step


def _sequence(length: int = 3, key: str = "", tokens: int = 2) -> Sequence:
    return Sequence([7] * length, key, tokens)


def _scheduler(rows: int = 2, chunk: int = 8, waiting: int = 100, slots: int = 2) -> Scheduler:
    return Scheduler(rows=rows, chunk=chunk, waiting=waiting, slots=slots)


def _do(scheduler: Scheduler, step: Step) -> None:
    """What an engine does with a step: prompts are read, tokens written, those done leave."""
    for chunk in step.chunks:
        chunk.sequence.read = chunk.stop
    for one in [*step.decodes, *(chunk.sequence for chunk in step.chunks if chunk.last)]:
        one.written.append(1)
        if len(one.written) == one.max_tokens:
            scheduler.leave(one)


def _ready(_key: str) -> bool:
    return True


def test_a_prompt_is_read_in_chunks_beside_one_that_writes() -> None:
    scheduler = _scheduler(chunk=4)
    short, long = _sequence(3, tokens=9), _sequence(6)
    scheduler.submit(short, 0.0)
    scheduler.submit(long, 0.0)
    step = scheduler.step(0.0, _ready)
    assert [(c.sequence, c.start, c.stop, c.last) for c in step.chunks] == [(short, 0, 3, True), (long, 0, 1, False)]
    _do(scheduler, step)
    step = scheduler.step(0.0, _ready)
    assert step.decodes == [short]
    assert [(c.sequence, c.start, c.stop, c.last) for c in step.chunks] == [(long, 1, 5, False)]
    _do(scheduler, step)
    step = scheduler.step(0.0, _ready)
    assert [(c.start, c.stop, c.last) for c in step.chunks] == [(5, 6, True)]


def test_a_row_is_free_again_at_once() -> None:
    scheduler = _scheduler(rows=1)
    first, second = _sequence(), _sequence()
    scheduler.submit(first, 0.0)
    scheduler.submit(second, 0.0)
    scheduler.step(0.0, _ready)
    assert (first.row, second.row) == (0, -1)
    scheduler.leave(first)
    scheduler.step(0.0, _ready)
    assert (first.row, second.row) == (-1, 0)


def test_one_that_waits_may_leave() -> None:
    scheduler = _scheduler(waiting=1)
    one = _sequence()
    scheduler.submit(one, 0.0)
    with pytest.raises(OverloadError, match="1 requests are waiting"):
        scheduler.submit(_sequence(), 0.0)
    scheduler.leave(one)
    scheduler.submit(_sequence(), 0.0)


def test_whose_adapter_is_not_there_yet_lets_others_pass() -> None:
    scheduler = _scheduler(rows=2)
    slow, fast, base = _sequence(key="slow"), _sequence(key="fast"), _sequence()
    for one in (slow, fast, base):
        scheduler.submit(one, 0.0)
    step = scheduler.step(0.0, lambda key: key == "fast")
    assert step.installs == [(fast.slot, "fast")]
    assert (slow.row, base.slot) == (-1, BASE_SLOT)
    assert [chunk.sequence for chunk in step.chunks] == [fast, base]


def test_an_adapter_in_its_slot_is_not_installed_again() -> None:
    scheduler = _scheduler()
    for expected in (1, 0):
        one = _sequence(key="a", tokens=1)
        scheduler.submit(one, 0.0)
        step = scheduler.step(0.0, _ready)
        assert len(step.installs) == expected
        _do(scheduler, step)


def test_a_slot_in_use_is_never_taken_and_who_waits_too_long_bars_the_others() -> None:
    scheduler = _scheduler(rows=4, slots=1)
    first = _sequence(key="a", tokens=50)
    scheduler.submit(first, 0.0)
    scheduler.step(0.0, _ready)
    other = _sequence(key="b")
    same = _sequence(key="a")
    scheduler.submit(other, 0.0)
    scheduler.submit(same, 0.0)
    scheduler.step(0.5, _ready)
    assert (other.row, same.row >= 0) == (-1, True)
    late = _sequence(key="a")
    scheduler.submit(late, 2.0)
    scheduler.step(2.0, _ready)
    assert (other.row, late.row) == (-1, -1)
    scheduler.leave(first)
    scheduler.leave(same)
    step = scheduler.step(2.0, _ready)
    assert (step.installs, late.row) == ([(other.slot, "b")], -1)


def test_the_one_not_used_for_longest_leaves() -> None:
    residency = Residency(2)
    for key in ("a", "b", "a"):
        got = residency.acquire(key)
        assert got is not None
        residency.release(key)
    residency.acquire("c")
    assert residency.held() == {"a", "c"}
    residency.acquire("a")
    assert residency.acquire("d") is None
    residency.release("c")
    residency.forget("c")
    assert residency.held() == {"a"}


@given(
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["", "a", "b", "c", "d"]), st.integers(1, 4)), max_size=30),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 6),
)
def test_everybody_is_served_and_no_two_share_a_row_or_a_slot(
    asked: list[tuple[int, str, int]], rows: int, slots: int, chunk: int
) -> None:
    scheduler = _scheduler(rows=rows, slots=slots, chunk=chunk)
    sequences = [_sequence(*one) for one in asked]
    for one in sequences:
        scheduler.submit(one, 0.0)
    holds: dict[int, str] = {}
    now = 0.0
    while scheduler.waiting or scheduler.running:
        now += 1.0
        step = scheduler.step(now, _ready)
        assert step.decodes or step.chunks
        assert sum(c.stop - c.start for c in step.chunks) <= chunk
        holds.update(step.installs)
        running = scheduler.running
        assert len({one.row for one in running}) == len(running) <= rows
        assert all(holds[one.slot] == one.key for one in running if one.key)
        assert all(one.slot == BASE_SLOT for one in running if not one.key)
        _do(scheduler, step)
    assert all(len(one.written) == one.max_tokens for one in sequences)
