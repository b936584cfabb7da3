"""An order of topics in which those that are routed alike stand side by side.

Apart from `topic_matrix`, which imports torch: the server asks for it.
"""

from collections.abc import Sequence

import numpy as np


def order_topics(distances: Sequence[Sequence[float | None]]) -> list[int]:
    """Places of the topics along a tree of average linkage with optimal leaf order (Bar-Joseph et al. 2001).

    `distances` [topics, topics] are symmetric, None where there is no pair, which counts as no distance. Fewer than
    three topics stay as they are.
    """
    # Over a second to import.
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    values = np.array(distances, dtype=np.float64)
    if len(values) < 3:
        return list(range(len(values)))
    np.fill_diagonal(values, 0.0)
    tree = linkage(squareform(np.nan_to_num(values), checks=False), method="average", optimal_ordering=True)
    return [int(leaf) for leaf in leaves_list(tree)]
