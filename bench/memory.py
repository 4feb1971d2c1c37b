#!/usr/bin/env python3
"""The memory of tokens: JSON lines.

The update of the K-means memory is measured against the same in plain C loops, against the products
that it contains (both in memory_bench.c), and against NumPy with the same BLAS and one thread, in
the same run on the same frames. Then float16, token dropping, and a day of a synthetic stream at
one frame a second: what is held at each full hour, and the snapshot at its end.
"""
import argparse
import ctypes
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np  # noqa: E402  its BLAS reads the variable when it is loaded


def emit(what, **values):
    print(json.dumps({"bench": "memory", "what": what, **values}), flush=True)


def run(program, *arguments):
    out = subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def blas():
    """What NumPy's products are made by."""
    np.ones((8, 8), np.float32) @ np.ones((8, 8), np.float32)
    with open("/proc/self/maps") as maps:
        found = sorted(set(re.findall(r"/\S*blas\S*\.so\S*", maps.read())))
    try:
        name = ctypes.CDLL("libopenblas.so.0").openblas_get_config
        name.restype = ctypes.c_char_p
        return [os.path.realpath(path) for path in found], name().decode()
    except OSError:
        return found, ""


# ---- K-means ----

def make_frames(path, k, p, d, frames):
    """Frames of k / p scenes that are seen in turn, so that each frame's tokens go to a centre each:
    the most that can change."""
    rng = np.random.default_rng(1)
    scenes = rng.standard_normal((k // p, p, d), np.float32)
    made = [scenes[i % len(scenes)] + 0.3 * rng.standard_normal((p, d), np.float32)
            for i in range(frames)]
    made = np.array(made, np.float32)
    made.tofile(path)
    return made


def numpy_update(centres, counts, new, shortcut):
    """Two iterations by products; with the shortcut, centres keep their labels in the first."""
    k = len(centres)
    data = np.concatenate([centres, new])
    weights = np.concatenate([counts, np.ones(len(new), np.float32)])
    for iteration in range(2):
        rows = new if shortcut and iteration == 0 else data
        apart = (centres ** 2).sum(1) - 2 * (rows @ centres.T)  # less what is the same for all
        labels = apart.argmin(1)
        if len(rows) < len(data):
            labels = np.concatenate([np.arange(k), labels])
        counts = np.bincount(labels, weights, k).astype(np.float32)
        # sums by sorting: the fastest of NumPy's ways
        order = labels.argsort(kind="stable")
        full = np.flatnonzero(counts)
        starts = np.searchsorted(labels[order], full)
        sums = np.add.reduceat((data * weights[:, None])[order], starts)
        centres = centres.copy()
        centres[full] = sums / counts[full, None]
    return centres, counts


def time_numpy(frames, k, shortcut):
    fill = k // frames.shape[1]
    centres, counts = frames[:fill].reshape(k, -1), np.ones(k, np.float32)
    times = []
    for new in frames[fill:]:
        begun = time.perf_counter()
        centres, counts = numpy_update(centres, counts, new, shortcut)
        times.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(times)


def kmeans(program, k, p, d, rounds):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "frames")
        frames = make_frames(path, k, p, d, k // p + rounds)
        ours = run(program, "kmeans", path, k, p, d, len(frames))
    peers = {"numpy_ms": time_numpy(frames, k, False),
             "numpy_shortcut_ms": time_numpy(frames, k, True)}
    emit("kmeans", k=k, p=p, d=d, **ours, **{name: round(ms, 2) for name, ms in peers.items()},
         times_numpy=round(peers["numpy_ms"] / ours["ms"], 1),
         times_numpy_shortcut=round(peers["numpy_shortcut_ms"] / ours["ms"], 1))


# ---- The rest ----

def halves(program):
    ours = run(program, "halves")
    floats = np.resize(np.arange(4001, dtype=np.float32) / 1000 - 2, ours["values"])
    begun = time.perf_counter()
    made = floats.astype(np.float16)
    between = time.perf_counter()
    made.astype(np.float32)
    end = time.perf_counter()
    emit("float16", **ours, numpy_to_half_g_per_s=round(len(floats) / (between - begun) / 1e9, 2),
         numpy_to_float_g_per_s=round(len(floats) / (end - between) / 1e9, 2))


def day(program, d, k, p, seconds):
    ours = run(program, "day", d, k, p, seconds)
    held, resident = ours.pop("held_mb"), ours.pop("resident_mb")
    if held:
        hours = [hour for hour in (0, 1, 5, 11, 23) if hour < len(held)]
        ours["held_mb_after_h"] = {hour + 1: held[hour] for hour in hours}
        ours["resident_mb_after_h"] = {hour + 1: resident[hour] for hour in hours}
        ours["held_mb_most"] = max(held)
    emit("stream", seconds=seconds, d=d, k=k, p=p, **ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=40, help="updates that are timed")
    parser.add_argument("--hours", type=int, default=24, help="of the synthetic stream")
    options = parser.parse_args()
    program = os.path.join(options.build, "bench", "memory_bench")
    paths, config = blas()
    emit("blas", numpy=paths, config=config)
    for k, p, d in ((512, 64, 2048), (512, 64, 576), (256, 64, 576), (432, 108, 3584)):
        kmeans(program, k, p, d, options.rounds)
    halves(program)
    for d, p in ((576, 64), (2048, 108)):
        emit("drop", d=d, p=p, **run(program, "drop", d, p))
    day(program, 576, 128, 64, 3600)
    day(program, 576, 128, 64, 3600 * options.hours)


main()
