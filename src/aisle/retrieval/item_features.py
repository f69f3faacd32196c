"""What items share by their description in columns: category, brand and attributes, as sparse unit rows.

Enters: an item table. Leaves: a matrix whose rows have the cosine similarity of two items as their product. Texts are
left to the encoder.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from aisle.domain import ItemTable


def feature_matrix(items: ItemTable) -> sp.csr_matrix:
    """Unit rows over category nodes, brands and attribute values, each weighted ``log(n_items / items having it)``.

    (n_items, n_features) float32; features of one item only, or of all, say nothing and are left out; an item without
    features has an empty row.
    """
    n = len(items)
    frame = items.frame.lazy().with_row_index("row")
    node = pl.concat_list([pl.col("category").list.head(depth).list.join(" > ") for depth in range(1, 7)])
    features = pl.concat(
        [
            frame.select("row", feature=node).explode("feature").filter(pl.col("feature") != ""),
            frame.select("row", feature=pl.lit("brand=") + pl.col("brand")).drop_nulls(),
            frame.select("row", "attributes")
            .explode("attributes")
            .drop_nulls()
            .select(
                "row",
                feature=pl.col("attributes").struct.field("name") + "=" + pl.col("attributes").struct.field("value"),
            ),
        ]
    )
    pairs = (
        features.unique()
        .with_columns(n_having=pl.len().over("feature"))
        .filter((pl.col("n_having") > 1) & (pl.col("n_having") < n))
        .with_columns(code=pl.col("feature").rank("dense") - 1, weight=(n / pl.col("n_having")).log())
        .with_columns(weight=pl.col("weight") / (pl.col("weight") ** 2).sum().over("row").sqrt())
        .sort("row", "code")
        .select("row", "code", "weight")
        .collect()
    )
    code = pairs["code"].cast(pl.Int64).to_numpy()
    shape = (n, int(code.max()) + 1 if len(code) else 0)
    row = pairs["row"].cast(pl.Int64).to_numpy()
    return sp.csr_matrix((pairs["weight"].to_numpy().astype(np.float32), (row, code)), shape=shape)
