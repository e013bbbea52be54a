"""Model-based clustering with scikit-learn, as the paper does it: `peer_mbc.py LIBRARY K`, one JSON line.

Flatten A and B, drop the smaller half of each expert's entries, truncated SVD to 64 dimensions, cosines,
k-means on the rows of the cosine matrix.
"""

import json
import pathlib
import resource
import sys
import time

import numpy as np
from safetensors.numpy import load_file
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize


def flattened(path):
    tensors = load_file(path)
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)])


def main(library, k):
    start = time.perf_counter()
    files = sorted(pathlib.Path(library).glob("*/adapter_model.safetensors"))
    experts = np.stack([flattened(file) for file in files])
    for expert in experts:
        size = np.abs(expert)
        expert[size <= np.quantile(size, 0.5)] = 0.0
    svd = TruncatedSVD(n_components=64, n_iter=5, random_state=42)
    embedding = normalize(svd.fit_transform(experts))
    similarity = embedding @ embedding.T
    found = KMeans(n_clusters=k, n_init=10, random_state=42).fit(similarity)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"experts": len(files), "seconds": seconds, "peak_mb": peak, "labels": found.labels_.tolist()}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
