from __future__ import annotations

from radimpress.server.engines.fingerprint import acts, apart

ONE = ({1: -0.1, 2: -3.0, 3: -4.0}, {7: -0.5, 8: -1.0, 9: -6.0})


def _moved(by: float) -> tuple[dict[int, float], ...]:
    return tuple({token: score + by for token, score in one.items()} for one in ONE)


def test_rounding_does_not_set_models_apart_and_other_words_do() -> None:
    assert not apart(ONE, _moved(0.05))
    assert apart(ONE, _moved(0.5))
    assert apart(ONE, ({4: -0.1, 5: -0.2, 6: -9.0}, *ONE[1:]))


def test_a_token_that_only_one_lists_counts_as_the_others_last() -> None:
    assert not apart(ONE, ({1: -0.1, 2: -3.0, 4: -4.0}, *ONE[1:]))


def test_an_adapter_acts_where_it_moves_more_than_rounding_does() -> None:
    assert not acts(ONE, ONE, ONE)
    assert not acts(ONE, ONE, _moved(5e-5))
    assert acts(ONE, ONE, _moved(1e-3))
    assert not acts(ONE, _moved(0.01), _moved(0.02))
    assert acts(ONE, _moved(0.01), _moved(0.2))
