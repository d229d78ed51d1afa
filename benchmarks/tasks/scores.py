"""What a sample is worth where the answers themselves are no decision: reconstructions and embeddings."""

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from edgeport.benchmarks.tasks.metric import UP, Array, Metric, mean_of


def recall_at(k: int) -> Metric:
    """Return the share of samples that have one of their own class among the k nearest others, by cosine.

    Each sample is a query, and all the others are what is searched; a draw weighs the queries.
    """

    def right(truth: Array, embeddings: Array) -> npt.NDArray[np.bool_]:
        flat = embeddings.reshape(len(embeddings), -1)
        near = NearestNeighbors(n_neighbors=min(k + 1, len(flat)), metric="cosine").fit(flat).kneighbors(flat)[1]
        others = near != np.arange(len(flat))[:, None]
        # A sample with twins may not be among its own neighbors: then the farthest of them is one too many.
        others[others.all(axis=1), -1] = False
        return np.asarray(((truth[near] == truth[:, None]) & others).any(axis=1))

    return Metric(
        f"recall@{k}",
        UP,
        lambda truth, embeddings: float(right(truth, embeddings).mean()),
        lambda truth, embeddings: mean_of(right(truth, embeddings)),
        right,
    )
