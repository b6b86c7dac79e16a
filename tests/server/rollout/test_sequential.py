from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from radimpress.server.rollout.sequential import BETS, SliceEvidence, Stream, log_evidence, shows_worse

ALTERNATING = (False, True)
TENTH = (False,) * 9 + (True,)


def _stream(sides: tuple[bool, ...], losses: tuple[float, ...]) -> Stream:
    stream = Stream()
    for side, loss in zip(sides, losses, strict=True):
        stream.add(side, loss)
    return stream


def _worth(*blocks: tuple[tuple[float, ...], tuple[float, ...]]) -> float:
    """What stakes are worth in the mean after blocks of losses, each (on trial, incumbent): the definition, in full."""
    stakes = [1.0] * len(BETS)
    seen = [0.5]
    for ours, theirs in blocks:
        usual = sum(seen) / len(seen)
        most = min(len(ours) / usual, len(theirs) / (1 - usual))
        for at, share in enumerate(BETS):
            bet = share * most
            stakes[at] *= math.prod(1 + bet * (x - usual) / len(ours) for x in ours)
            stakes[at] *= math.prod(1 - bet * (y - usual) / len(theirs) for y in theirs)
        seen += [*ours, *theirs]
    return sum(stakes) / len(stakes)


def test_without_a_block_nothing_is_said() -> None:
    assert Stream().log_evidence == 0
    assert _stream((True,) * 50, (1.0,) * 50).log_evidence == 0


def test_every_block_multiplies_each_stake_by_its_bet() -> None:
    stream = _stream(ALTERNATING * 3, (0.0, 1.0, 0.25, 0.75, 1.0, 0.0))
    assert math.exp(stream.log_evidence) == pytest.approx(
        _worth(((1.0,), (0.0,)), ((0.75,), (0.25,)), ((0.0,), (1.0,)))
    )


def test_a_rare_side_is_compared_with_many_of_the_other() -> None:
    losses = (0.0, 0.0, 1.0) + (0.0,) * 6 + (1.0,)
    assert math.exp(_stream(TENTH, losses).log_evidence) == pytest.approx(_worth((losses[9:], losses[:9])))
    swapped = _stream(tuple(not side for side in TENTH), losses)
    assert math.exp(swapped.log_evidence) == pytest.approx(_worth((losses[:9], losses[9:])))


@pytest.mark.parametrize("loss", [0.0, 0.3, 1.0])
def test_equal_losses_say_nothing_for_long(loss: float) -> None:
    assert _stream(ALTERNATING * 200, (loss, loss) * 200).log_evidence < 0.1


def test_lower_losses_speak_for_the_adapter() -> None:
    assert _stream(ALTERNATING * 200, (0.3, 0.2) * 200).log_evidence < -0.5


def test_an_adapter_that_is_always_worse_is_found_within_ten_answers() -> None:
    assert not shows_worse(_stream(ALTERNATING * 3, (0.0, 1.0) * 3).log_evidence, 0.01)
    assert shows_worse(_stream(ALTERNATING * 10, (0.0, 1.0) * 10).log_evidence, 0.01)


@pytest.mark.parametrize(
    "sides",
    [
        ALTERNATING * 5,
        TENTH,
        (True, True, False, False, True, False, False, True, False),
        (False,) * 3 + (True,) + (False,) * 3 + (True, False, False, True),
        (True,) * 3 + (False,) + (True,) * 3 + (False, True, True, False),
    ],
)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_no_stake_grows_in_expectation_while_the_adapter_is_not_worse(sides: tuple[bool, ...], share: float) -> None:
    """Over all outcomes there are: what Ville's inequality rests on."""
    losses = np.array(list(itertools.product((0.0, 1.0), repeat=len(sides)))).T
    stream = Stream()
    for side, column in zip(sides, losses, strict=True):
        stream.add(side, column)
    worth = np.exp(stream.log_evidence)

    def expected(*of: float) -> float:
        chances = np.array([of[side] for side in sides])[:, None]
        return float(worth @ np.where(losses > 0, chances, 1 - chances).prod(axis=0))

    assert expected(share, share) <= 1 + 1e-12
    assert expected(share, share / 2) < 1
    assert expected(share / 8, (1 + share) / 2) > 1


def test_which_losses_come_together_depends_on_no_loss() -> None:
    chance = np.random.default_rng(0)
    sides = tuple(bool(one) for one in chance.random(500) < 0.3)
    losses = chance.random((500, 3))
    together = Stream()
    for side, row in zip(sides, losses, strict=True):
        together.add(side, row)
    alone = [_stream(sides, tuple(column)).log_evidence for column in losses.T.tolist()]
    assert together.log_evidence == pytest.approx(alone)


def test_counts_and_means_are_of_all_outcomes_also_of_those_in_no_block() -> None:
    stream = _stream((False, False, False, True), (0.0, 0.5, 1.0, 0.25))
    assert (stream.seen(False), stream.seen(True)) == (3, 1)
    assert (stream.mean(False), stream.mean(True)) == (0.5, 0.25)
    assert Stream().mean(True) == 0


def test_what_is_of_long_before_is_compared_with_nothing() -> None:
    stream = Stream()
    for loss in (1.0,) * 5000 + (0.0,) * 100:
        stream.add(False, loss)
    stream.add(True, 1.0)
    assert math.exp(stream.log_evidence) == pytest.approx(_worth(((1.0,), (0.0,) * 20)))


def test_the_evidence_stays_a_number_whatever_comes() -> None:
    stream = _stream(ALTERNATING * 3000, (0.0, 1.0) * 3000)
    assert shows_worse(stream.log_evidence, 1e-300)
    for _ in range(3000):
        stream.add(False, 1.0)
        stream.add(True, 0.0)
    assert math.isfinite(stream.log_evidence)


def test_a_trial_is_as_bad_as_its_streams_and_slices_are_in_the_mean() -> None:
    slices = [SliceEvidence(), SliceEvidence()]
    for _ in range(8):
        slices[1].hard.add(False, 0.0)
        slices[1].hard.add(True, 1.0)
    assert math.exp(log_evidence(slices)) == pytest.approx((5 + _worth(*[((1.0,), (0.0,))] * 8)) / 6)


def test_streams_without_a_block_stand_beside_many_runs() -> None:
    one = SliceEvidence()
    one.noticed.add(False, np.array([0.0, 0.0]))
    one.noticed.add(True, np.array([1.0, 0.0]))
    worth = [_worth(((loss,), (0.0,))) for loss in (1.0, 0.0)]
    assert np.exp(log_evidence([one])) == pytest.approx([(2 + value) / 3 for value in worth])


@pytest.mark.parametrize(("evidence", "alpha", "word"), [(24.9, 0.04, False), (25.1, 0.04, True), (25.1, 0.01, False)])
def test_one_over_alpha_is_enough(evidence: float, alpha: float, word: bool) -> None:
    assert bool(shows_worse(math.log(evidence), alpha)) is word
