#!/usr/bin/env python3
"""The token memory, token dropping and float16 in NumPy, from the formulae, against the C program.

    memory_tokens.py PROGRAM

makes cases, lets PROGRAM (tests/memory/memory_cases.c) run them, and compares: centres to 1e-4,
labels and counts equal. Everything here is computed in float64 and in the plainest way: all
distances in every iteration, from differences.

Where two distances are closer than float32 can tell, either label is right: such ties are counted
and told, and each way to break them is tried until one agrees. Every frame is compared from the
state that the program had before it; and as long as there was no tie, also from the beginning.
Prints TAP.
"""
import itertools
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

KMEANS, EMA, MEAN, ADJACENT, NONE = range(5)
NO_CENTRE = 0xFFFFFFFF
TOLERANCE = 1e-4
TIE = 2e-6     # of the squared lengths: what float32 cannot tell
TRIES = 256    # ways to break ties


# ---- K-means ----

class Ties:
    """Which of several equally near centres is taken: the first, or what a trial says."""

    def __init__(self, choices=()):
        self.choices = list(choices)
        self.widths = []

    def choose(self, candidates):
        at = len(self.widths)
        self.widths.append(len(candidates))
        return candidates[self.choices[at] if at < len(self.choices) else 0]


def nearest(rows, centres, ties):
    labels = np.empty(len(rows), np.int64)
    lengths = (centres ** 2).sum(1)
    for i, row in enumerate(rows):
        apart = ((row - centres) ** 2).sum(1)
        best = int(apart.argmin())
        slack = TIE * ((row ** 2).sum() + lengths)
        close = np.flatnonzero((apart <= apart[best] + slack) & (apart != apart[best]))
        labels[i] = best if len(close) == 0 else ties.choose([best, *close])
    return labels


def kmeans(centres, weights, new, iterations, exact, ties):
    """Lloyd's algorithm over centres and new rows; labels of old and new rows, and the centres."""
    k = len(centres)
    data = np.concatenate([centres, new])
    weight = np.concatenate([weights, np.ones(len(new))])
    now = centres.copy()
    for iteration in range(iterations):
        if iteration == 0 and not exact:
            labels = np.concatenate([np.arange(k), nearest(new, now, ties)])
        else:
            labels = nearest(data, now, ties)
        sums = np.zeros_like(now)
        counts = np.zeros(k)
        np.add.at(sums, labels, data * weight[:, None])
        np.add.at(counts, labels, weight)
        full = counts > 0
        now = now.copy()
        now[full] = sums[full] / counts[full, None]
    return now, labels


# ---- State: centres, and the table of count, t, row, column, first, last ----

class State:
    def __init__(self, dim):
        self.centres = np.zeros((0, dim))
        self.table = np.zeros((0, 6))
        self.next = 0  # NONE alone

    def copy(self):
        other = State(0)
        other.centres, other.table, other.next = self.centres.copy(), self.table.copy(), self.next
        return other


def one(place, columns, pts):
    return np.array([1, pts, place // columns, place % columns, pts, pts], float)


def join(table):
    """What is known of a cluster from its members, by weight."""
    table = table[table[:, 0] > 0]
    if len(table) == 0:
        return None
    weight = table[:, 0]
    means = (table[:, 1:4] * weight[:, None]).sum(0) / weight.sum()
    return np.array([weight.sum(), *means, table[:, 4].min(), table[:, 5].max()])


def add_kmeans(state, case, frame, ties):
    rows, columns, pts = frame
    table = np.array([one(p, columns, pts) for p in range(len(rows))])
    begins = min(case["tokens"] - len(state.centres), len(rows))
    first = len(state.centres)
    state.centres = np.concatenate([state.centres, rows[:begins]])
    state.table = np.concatenate([state.table, table[:begins]])
    labels = np.arange(first, first + begins)
    if begins == len(rows):
        return labels
    k = len(state.centres)
    now, all_labels = kmeans(state.centres, state.table[:, 0], rows[begins:], case["iterations"],
                             case["exact"], ties)
    members = np.concatenate([state.table, table[begins:]])
    after = state.table.copy()
    for i in range(k):
        joined = join(members[all_labels == i])
        if joined is None:
            after[i, 0] = 0
        else:
            after[i] = joined
    state.centres, state.table = now, after
    return np.concatenate([all_labels[labels], all_labels[k:]])


# ---- The other modes ----

def add_places(state, case, frame, _ties):
    rows, columns, pts = frame
    labels = np.full(len(rows), NO_CENTRE)
    for p, row in enumerate(rows[:case["tokens"]]):
        labels[p] = p
        this = one(p, columns, pts)
        if p == len(state.centres):
            state.centres = np.concatenate([state.centres, row[None]])
            state.table = np.concatenate([state.table, this[None]])
            continue
        share = 0.1 if case["mode"] == EMA else 1 / (state.table[p, 0] + 1)
        state.centres[p] = (1 - share) * state.centres[p] + share * row
        before = state.table[p].copy()
        state.table[p, 1:4] = (1 - share) * before[1:4] + share * this[1:4]
        state.table[p, 0] += 1
        state.table[p, 4:] = min(before[4], pts), max(before[5], pts)
    return labels


def add_newest(state, case, frame, _ties):
    rows, columns, pts = frame
    labels = np.full(len(rows), NO_CENTRE)
    for p in range(max(0, len(rows) - case["tokens"]), len(rows)):
        labels[p] = state.next
        this = one(p, columns, pts)
        if state.next == len(state.centres):
            state.centres = np.concatenate([state.centres, rows[p][None]])
            state.table = np.concatenate([state.table, this[None]])
        else:
            state.centres[state.next], state.table[state.next] = rows[p], this
        state.next = (state.next + 1) % case["tokens"]
    return labels


def add_adjacent(state, case, frame, _ties):
    rows, columns, pts = frame
    line = list(zip(state.centres, state.table, [[] for _ in state.centres]))
    for p, row in enumerate(rows):
        line.append((row, one(p, columns, pts), [p]))
        if len(line) <= case["tokens"]:
            continue
        alike = [float(a[0] @ b[0] / (np.linalg.norm(a[0]) * np.linalg.norm(b[0]) + 1e-8))
                 for a, b in itertools.pairwise(line)]
        i = int(np.argmax(alike))
        (a, ta, pa), (b, tb, pb) = line[i], line[i + 1]
        merged = (a * ta[0] + b * tb[0]) / (ta[0] + tb[0])
        line[i:i + 2] = [(merged, join(np.array([ta, tb])), pa + pb)]
    state.centres = np.array([c for c, _, _ in line])
    state.table = np.array([t for _, t, _ in line])
    labels = np.empty(len(rows), np.int64)
    for i, (_, _, places) in enumerate(line):
        labels[places] = i
    return labels


ADD = {KMEANS: add_kmeans, EMA: add_places, MEAN: add_places, ADJACENT: add_adjacent,
       NONE: add_newest}


def add(state, case, frame, ties):
    labels = ADD[case["mode"]](state, case, frame, ties)
    if case["cap"]:
        state.table[:, 0] = np.minimum(state.table[:, 0], case["cap"])
    return labels


def order(table):
    keys = np.floor(np.abs(table[:, 1:4]) + 0.5) * np.sign(table[:, 1:4])
    return np.lexsort((np.arange(len(table)), keys[:, 2], keys[:, 1], keys[:, 0]))


# ---- Exchange ----

class Results:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, dtype, n):
        values = np.frombuffer(self.data, dtype, n, self.at)
        self.at += values.nbytes
        return values

    def memory(self, n, dim):
        count = int(self.take(np.uint32, 1)[0])
        labels = self.take(np.uint32, n).astype(np.int64)
        centres = self.take(np.float32, count * dim).reshape(count, dim)
        record = np.dtype([("count", "<i8"), ("means", "<f8", 3), ("times", "<i8", 2)])
        stats = self.take(record, count)
        table = np.column_stack([stats["count"], stats["means"], stats["times"]]).astype(float)
        return labels, centres.astype(float), table, self.take(np.uint32, count)


def pack_frame(frame):
    rows, columns, pts = frame
    return struct.pack("=IIq", len(rows), columns, pts) + rows.astype(np.float32).tobytes()


def pack_memory(case):
    return struct.pack("=8I", ord("M"), case["mode"], case["tokens"], case["dim"],
                       case["iterations"], case["cap"], case["exact"], len(case["frames"])) + \
        b"".join(map(pack_frame, case["frames"]))


# ---- Comparison ----

def differs(state, labels, seen):
    seen_labels, centres, table, _ = seen
    if centres.shape != state.centres.shape:
        return f"{len(centres)} centres, not {len(state.centres)}"
    if not np.array_equal(labels, seen_labels):
        wrong = np.flatnonzero(labels != seen_labels)
        return f"{len(wrong)} labels differ, of token {wrong[0]}: " \
               f"{seen_labels[wrong[0]]}, not {labels[wrong[0]]}"
    if not np.array_equal(state.table[:, 0], table[:, 0]):
        return "counts differ"
    apart = np.abs(state.centres - centres).max(initial=0)
    if not apart <= TOLERANCE:
        return f"centres differ by {apart}"
    apart = np.abs(state.table[:, 1:4] - table[:, 1:4]).max(initial=0)
    if not apart <= 1e-3:
        return f"times or places differ by {apart}"
    if not np.array_equal(state.table[:, 4:], table[:, 4:]):
        return "first or last times differ"
    return None


def ways(widths):
    """Ways to break ties: the first, then one other at a time, then all."""
    for i, width in enumerate(widths):
        for choice in range(1, width):
            yield [0] * i + [choice]
    yield from itertools.islice(itertools.product(*map(range, widths)), 1, None)


def compare_step(before, case, frame, seen):
    """From the state that the program had; the number of ties, and what differs."""
    ties = Ties()
    state = before.copy()
    why = differs(state, add(state, case, frame, ties), seen)
    n = len(ties.widths)
    if why is None or n == 0:
        return n, state, why
    for choices in itertools.islice(ways(ties.widths), TRIES):
        state = before.copy()
        if differs(state, add(state, case, frame, Ties(choices)), seen) is None:
            return n, state, None
    return n, state, f"{why}, in whatever way {n} ties are broken"


def compare_memory(case, results):
    stepped, whole = State(case["dim"]), State(case["dim"])
    ties = 0
    for i, frame in enumerate(case["frames"]):
        frame = (frame[0].astype(np.float32).astype(float), *frame[1:])
        seen = results.memory(len(frame[0]), case["dim"])
        n, stepped, why = compare_step(stepped, case, frame, seen)
        ties += n
        if why is None and ties == 0:
            why = differs(whole, add(whole, case, frame, Ties()), seen)
        if why is None and not np.array_equal(order(seen[2]), seen[3]):
            why = "the order differs"
        if why is not None:
            return f"frame {i}: {why}", ties
        stepped.centres, stepped.table = seen[1].copy(), seen[2].copy()
    return None, ties


# ---- Memory cases ----

def tokens(rng, kind, n, dim, scene):
    """A frame's tokens, about 1 in size. clustered: around a few points; scene: like the last."""
    if kind == "random":
        return rng.standard_normal((n, dim))
    if kind == "clustered":
        points = scene.setdefault("points", 2 * rng.standard_normal((12, dim)))
        return points[rng.integers(len(points), size=n)] + 0.3 * rng.standard_normal((n, dim))
    if kind == "common":  # far from 0 together, as embeddings often are
        mean = scene.setdefault("mean", 4 * rng.standard_normal(dim))
        return mean + 0.5 * rng.standard_normal((n, dim))
    if n not in scene or rng.random() < 0.2:  # still
        scene[n] = rng.standard_normal((n, dim))
    return scene[n] + (0.05 * rng.standard_normal((n, dim)) if kind == "noisy" else 0)


def memory_case(name, rng, kind, tokens_max, sizes, dim, frames, **more):
    scene = {}
    made = []
    for i in range(frames):
        rows, columns = sizes[i % len(sizes)]
        made.append((tokens(rng, kind, rows * columns, dim, scene).astype(np.float32), columns,
                     1000 * i + int(rng.integers(40))))
    case = dict(name=f"{name}, {kind}, K={tokens_max} D={dim}", mode=KMEANS, tokens=tokens_max,
                dim=dim, iterations=2, cap=0, exact=0, frames=made)
    case.update(more)
    return case


def memory_cases(rng):
    for dim, k, grid in ((256, 64, (4, 8)), (576, 64, (4, 8)), (2048, 48, (4, 6)),
                         (3584, 32, (4, 4))):
        for kind in ("random", "clustered", "common", "noisy"):
            yield memory_case("frames", rng, kind, k, [grid], dim, 8)
    for dim in (1, 2, 3, 7, 17, 31, 33, 255, 577, 1001):
        yield memory_case("odd widths", rng, "random", 21, [(3, 3)], dim, 12)
    sizes = [(1, 1), (5, 7), (3, 4), (2, 3), (8, 8)]
    for kind in ("random", "clustered", "noisy"):
        yield memory_case("odd sizes", rng, kind, 37, sizes, 65, 15)
        yield memory_case("frames larger than K", rng, kind, 5, [(4, 5), (1, 3)], 24, 10)
        for iterations in (1, 3, 6):
            yield memory_case(f"{iterations} iterations", rng, kind, 32, [(4, 4)], 48, 12,
                              iterations=iterations)
        yield memory_case("exact", rng, kind, 32, [(4, 4)], 48, 12, exact=1)
        yield memory_case("counts cut to 3", rng, kind, 32, [(4, 4)], 48, 30, cap=3)
        yield memory_case("counts cut to 1", rng, kind, 32, [(4, 4)], 48, 30, cap=1)
    yield memory_case("K of 1", rng, "random", 1, [(2, 2)], 9, 6)
    yield memory_case("many frames", rng, "clustered", 24, [(2, 4)], 32, 300)
    yield memory_case("the size of the bench", rng, "clustered", 512, [(8, 8)], 2048, 12)
    for exact in (0, 1):
        yield memory_case("equal tokens", rng, "still", 32, [(4, 4)], 16, 20, exact=exact)
        made = memory_case("equal centres", rng, "random", 16, [(2, 4)], 8, 12, exact=exact)
        for i in range(0, 12, 2):  # the second half of a frame is its first
            made["frames"][i][0][4:] = made["frames"][0][0][:4]
        yield made
    for mode, name in ((EMA, "ema"), (MEAN, "mean"), (ADJACENT, "adjacent"), (NONE, "none")):
        for kind in ("random", "clustered"):
            yield memory_case(name, rng, kind, 32, [(4, 4)], 48, 12, mode=mode)
            yield memory_case(f"{name}, odd sizes", rng, kind, 11, sizes, 33, 15, mode=mode)
        yield memory_case(f"{name}, counts cut", rng, "noisy", 16, [(4, 4)], 24, 20, mode=mode, cap=4)


# ---- Token dropping ----

def cosines(a, b):
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(1), lengths, out=np.zeros(len(a)), where=lengths > 0)


def drop_case(name, rng, dim, sizes, frames, threshold=0.5, refresh=16, window=32, deviations=2.0):
    made, scene = [], None
    for i in range(frames):
        rows, columns = sizes[i * len(sizes) // frames]
        shape = (rows * columns, dim)
        cut = scene is None or scene.shape != shape or rng.random() < 0.08
        scene = rng.standard_normal(shape) if cut else scene
        noise = rng.random((shape[0], 1)) * 1.6 * rng.standard_normal(shape)
        noise[rng.random(shape[0]) < 0.7] = 0
        made.append(((scene + noise).astype(np.float32), columns, 1000 * i))
    return dict(name=f"{name}, D={dim}", threshold=threshold, refresh=refresh, window=window,
                deviations=deviations, dim=dim, frames=made)


def drop_cases(rng):
    for dim in (256, 576, 2048, 3584, 3, 17):
        yield drop_case("token dropping", rng, dim, [(4, 6)], 60)
    yield drop_case("token dropping, other sizes", rng, 33, [(2, 3), (4, 6), (6, 4), (5, 1)], 80)
    yield drop_case("token dropping, short window", rng, 24, [(4, 6)], 80, 0.8, 5, 9, 1.5)
    yield drop_case("token dropping, never whole", rng, 24, [(4, 6)], 50, refresh=0)


def pack_drop(case):
    return struct.pack("=IfIIfII", ord("D"), case["threshold"], case["refresh"], case["window"],
                       case["deviations"], case["dim"], len(case["frames"])) + \
        b"".join(map(pack_frame, case["frames"]))


def compare_drop(case, results):
    before, shape, scores, since, ties = None, None, [], 0, 0
    for i, (rows, columns, _) in enumerate(case["frames"]):
        n = len(rows)
        rows = rows.astype(np.float16).astype(float)
        keep = results.take(np.uint8, n).astype(bool)
        score = float(results.take(np.float32, 1)[0])
        boundary, kept = (int(results.take(np.uint32, 1)[0]) for _ in range(2))
        if shape != (n, columns):
            shape, scores, since = (n, columns), [], 0
            expected, expected_score, expected_boundary = np.ones(n, bool), 1.0, True
        else:
            alike = cosines(rows, before)
            expected = ~(alike > case["threshold"])
            close = np.abs(alike - case["threshold"]) < 1e-6
            ties += int(close.sum())
            expected[close] = keep[close]
            changed = int(expected.sum())
            last = np.array(scores[-case["window"]:], float)
            expected_boundary = len(last) >= 8 and bool(
                changed > last.mean() + case["deviations"] * last.std() + 1e-9)
            scores.append(changed)
            expected_score = changed / n
            since += 1
            if case["refresh"] and since >= case["refresh"]:
                expected, since = np.ones(n, bool), 0
        if not np.array_equal(expected, keep) or kept != keep.sum():
            return f"frame {i}: other tokens are kept", ties
        if abs(score - expected_score) > 1e-6:
            return f"frame {i}: score {score}, not {expected_score}", ties
        if boundary != expected_boundary:
            return f"frame {i}: boundary {boundary}, not {expected_boundary}", ties
        before = rows
    return None, ties


# ---- float16 ----

def half_case(rng):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    numbers = np.sort(every[np.isfinite(every)])
    middle = (numbers[1:].astype(float) + numbers[:-1]) / 2
    middle = middle.astype(np.float32)  # exact: halves of neighbours fit in a float
    around = [np.nextafter(middle, np.float32(way)) for way in (-np.inf, np.inf)]
    any_bits = rng.integers(0, 1 << 32, 200000, np.uint64).astype(np.uint32).view(np.float32)
    more = np.array([65519.99, 65520, 1e30, -1e-30, 5e-8], np.float32)  # not a whole vector
    return np.concatenate([every, middle, *around, any_bits, more])


def compare_halves(values, results):
    halves = results.take(np.uint16, len(values))
    back = results.take(np.float32, len(values))
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float16)
    number = ~np.isnan(values)  # what is none may keep any of its bits
    if not np.array_equal(halves[number], expected.view(np.uint16)[number]):
        return "other halves", 0
    if not np.array_equal(back[number], expected.astype(np.float32)[number]):
        return "other floats", 0
    if not (np.isnan(back[~number]).all() and np.isnan(halves.view(np.float16)[~number]).all()):
        return "what is no number became one", 0
    return None, 0


# ---- All ----

def main():
    rng = np.random.default_rng(20261121)
    halves = half_case(rng)
    work = [("float16", struct.pack("=II", ord("H"), len(halves)) + halves.tobytes(),
             lambda results: compare_halves(halves, results))]
    for case in memory_cases(rng):
        work.append((case["name"], pack_memory(case), lambda r, c=case: compare_memory(c, r)))
    for case in drop_cases(rng):
        work.append((case["name"], pack_drop(case), lambda r, c=case: compare_drop(c, r)))
    print(f"1..{len(work)}")
    for number, (name, packed, compare) in enumerate(work, 1):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("cases", "results")]
            with open(paths[0], "wb") as file:
                file.write(packed)
            subprocess.run([sys.argv[1], *paths], check=True)
            with open(paths[1], "rb") as file:
                results = Results(file.read())
        why, ties = compare(results)
        if why is None and results.at != len(results.data):
            why = "results are left over"
        print(f"{'ok' if why is None else 'not ok'} {number} - {name}", flush=True)
        if ties:
            print(f"# {ties} ties")
        if why is not None:
            print(f"# {why}")


main()
