"""`StyleClustering`: the parting of clinics as a scikit-learn estimator, for scikit-learn's own tools.

Not imported by the rest, so that scikit-learn loads only where it is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from radimpress.clustering.choose import centres_of, choose, nearest_centre


class StyleClustering(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Parts points into clusters, method and number chosen by silhouette and stability; one is an answer too.

    Args:
        largest: number of clusters at most.
        unit: standard deviation of points of one cluster; clusters nearer than three of it are not parted;
            points that are whitened have 1.
        noise: standard deviation of a point's own uncertainty, in units; stability is tried with it.
        resamples: how often.
        random_state: as scikit-learn has it.

    Attributes:
        labels_: of each point, from 0, [points].
        cluster_centers_: [clusters, features].
        n_clusters_: how many.
        tried_: each method and number with its silhouette and stability.
        why_: in words.
    """

    def __init__(
        self,
        largest: int = 12,
        unit: float = 1.0,
        noise: float = 0.4,
        resamples: int = 20,
        random_state: Any = None,
    ) -> None:
        self.largest = largest
        self.unit = unit
        self.noise = noise
        self.resamples = resamples
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> StyleClustering:  # noqa: N803 (scikit-learn's name)
        """Parts the points `X`, [points, features]; `y` is not used."""
        del y
        points = validate_data(self, X, dtype=np.float64)
        chance = check_random_state(self.random_state)
        unit = self.unit
        scaled = points / unit
        again = scaled + self.noise * chance.standard_normal((self.resamples, *points.shape))
        with threadpool_limits(1):
            choice = choose(scaled, again, largest=self.largest, seed=int(chance.randint(2**31 - 1)))
        self.labels_ = choice.labels
        self.cluster_centers_ = centres_of(points, choice.labels)
        self.n_clusters_ = len(self.cluster_centers_)
        self.tried_ = choice.tried
        self.why_ = choice.why
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:  # noqa: N803 (scikit-learn's name)
        """Label of the nearest centre for each of `X`, [points, features]."""
        check_is_fitted(self)
        return nearest_centre(validate_data(self, X, dtype=np.float64, reset=False), self.cluster_centers_)

    def score(self, X: ArrayLike, y: object = None) -> float:  # noqa: N803 (scikit-learn's name)
        """Minus the mean distance to the nearest centre, in units: larger is better, as cross-validation has it."""
        del y
        check_is_fitted(self)
        points = validate_data(self, X, dtype=np.float64, reset=False)
        far = np.linalg.norm(points[:, None] - self.cluster_centers_, axis=2).min(axis=1)
        return -float(far.mean()) / (self.unit)
