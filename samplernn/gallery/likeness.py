"""Which excerpts sound alike: distances, clusters, a map, novelty, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from samplernn.gallery.features import GROUPS

COMPONENTS = 16  # of descriptions, between which distances are taken
NEIGHBOURS = 5  # by the distance from which an excerpt is novel
MOST_CLUSTERS = 12
LEAST_TO_MAP = 8  # fewer are shown by their first two components
PERPLEXITY = 30
SEED = 0


class Space:
    """Descriptions as points whose distances say how alike they sound; each group of features counts alike.

    Args:
        descriptions: of the excerpts that are compared, float64 [n, features].
    """

    def __init__(self, descriptions: np.ndarray):
        self._scaler = StandardScaler().fit(descriptions)
        self._weights = np.concatenate([np.full(size, size**-0.5) for size in GROUPS])
        components = PCA(min(COMPONENTS, *descriptions.shape), random_state=SEED)
        with np.errstate(invalid="ignore"):  # of the share of a variance that is none
            self._components = components.fit(self._standardized(descriptions))

    def _standardized(self, descriptions: np.ndarray) -> np.ndarray:
        return self._scaler.transform(descriptions) * self._weights

    def points(self, descriptions: np.ndarray) -> np.ndarray:
        """float64 [n, components]."""
        return self._components.transform(self._standardized(descriptions))


@dataclass(frozen=True)
class Nearest:
    """For each of some points its distances to those of others that are nearest, and which these are, [n, k]."""

    distances: np.ndarray
    indices: np.ndarray


def nearest(points: np.ndarray, others: np.ndarray, number: int = 1) -> Nearest:
    """The nearest of others, as many as asked for, or as there are."""
    found = NearestNeighbors(n_neighbors=min(number, len(others))).fit(others)
    return Nearest(*found.kneighbors(points))


def novelty(points: np.ndarray) -> np.ndarray:
    """How far each is from its nearest neighbours, on average, [n]; 0 where there is but one."""
    if len(points) == 1:
        return np.zeros(1)
    found = nearest(points, points, NEIGHBOURS + 1)
    return found.distances[:, 1:].mean(axis=1)  # without itself, or a copy


def clusters(points: np.ndarray) -> np.ndarray:
    """The number of the cluster that each is in, int [n]; that of most points is 0."""
    number = min(MOST_CLUSTERS, max(1, round((len(points) / 2) ** 0.5)))
    number = min(number, len(np.unique(points, axis=0)))
    labels = KMeans(number, n_init=4, random_state=SEED).fit_predict(points)
    order = np.argsort(-np.bincount(labels, minlength=number), kind="stable")
    return np.argsort(order)[labels]


def map_of(points: np.ndarray) -> np.ndarray:
    """A place for each where those that are alike are near each other, float64 [n, 2] from 0 to 1."""
    distinct, at = np.unique(points.round(6), axis=0, return_inverse=True)  # copies of one crash t-SNE
    if len(distinct) < LEAST_TO_MAP:
        places = np.pad(distinct[:, :2], ((0, 0), (0, max(0, 2 - points.shape[1]))))
    else:
        perplexity = min(PERPLEXITY, (len(distinct) - 1) / 3)
        places = TSNE(init="pca", perplexity=perplexity, random_state=SEED).fit_transform(distinct)
    low, high = places.min(axis=0), places.max(axis=0)
    return ((places - low) / np.maximum(high - low, 1e-9))[at.ravel()]
