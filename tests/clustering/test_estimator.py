from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from radimpress.clustering.estimator import StyleClustering

BLOBS = np.concatenate([np.random.default_rng(at).standard_normal((12, 4)) * 0.7 + 9 * at for at in range(3)])


def test_scikit_learn_finds_nothing_against_its_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    # It fits some fifty times: a coarser test of one cluster is quicker.
    monkeypatch.setattr("radimpress.clustering.choose._CLOUDS", 19)
    monkeypatch.setattr("radimpress.clustering.choose.ALPHA", 0.05)
    # Its own blobs are scaled so that those of one cluster lie about 0.15 apart.
    found = check_estimator(
        StyleClustering(unit=0.15, largest=3, resamples=1, random_state=0), on_fail=None, on_skip=None
    )
    assert [one["check_name"] for one in found if one["status"] == "failed"] == []
    assert len(found) > 20


def test_it_predicts_what_it_fitted_and_a_clone_is_unfitted() -> None:
    fitted = StyleClustering(random_state=0).fit(BLOBS)
    assert fitted.n_clusters_ == 3
    assert (fitted.predict(BLOBS) == fitted.labels_).all()
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(Exception, match="not fitted"):
        copy.predict(BLOBS)


def test_cross_validation_and_grids_work_on_it() -> None:
    assert len(cross_val_score(StyleClustering(largest=4, resamples=1, random_state=0), BLOBS, cv=3)) == 3
    grid = GridSearchCV(StyleClustering(resamples=1, random_state=0), {"largest": [1, 4]}, cv=2).fit(BLOBS[::-1])
    assert grid.best_params_ == {"largest": 4}
