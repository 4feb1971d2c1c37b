#!/usr/bin/env python3
"""The key-frame buffer, its long memory, the routers and recall in NumPy, from the formulae and in
double precision, against the C of src/memory: memory_routers.py ROUTING_CASES. Prints TAP."""

import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

ROUTERS = ("cos_sim_coarse", "cos_sim_fine", "cross-attn", "indexer", "recent", "random")
CHOSEN, NEIGHBOUR, BUFFER, RECENT = range(4)
TIMES = 64
MASK = (1 << 64) - 1


def half(rows):
    return rows.astype(np.float32).astype(np.float16).astype(np.float64)


def unit(rows):
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.where(length > 0, rows / np.where(length > 0, length, 1), 0)


def alike(a, b):
    """Mean over places of the cosine of two tokens at the same place."""
    return float(np.mean(np.sum(unit(a) * unit(b), axis=1)))


# ---- The buffer of seed 002, and the bounded long memory ----

class Thinned:
    """Every step-th of what is added; the step doubles when there are too many."""

    def __init__(self):
        self.items, self.step, self.seen = [], 1, 0

    def add(self, item):
        if self.step and self.seen % self.step == 0:
            self.items.append(item)
            if len(self.items) > TIMES:
                self.thin()
        self.seen += 1

    def thin(self):
        self.step = self.step * 2 if len(self.items) > 1 else 0
        self.items = self.items[::2] if len(self.items) > 1 else []

    def drop(self):
        self.items, self.step = [], 0


class Cluster:
    def __init__(self, number, frame):
        self.id, self.columns, self.frames, self.merges, self.used = number, frame[1], 0, 0, 0
        self.mean = np.zeros_like(frame[0])
        self.first = self.last = frame[2]
        self.pts, self.members = Thinned(), Thinned()
        self.add(frame)

    def add(self, frame):
        rows, _, pts = frame
        self.mean = (self.frames * self.mean + rows) / (self.frames + 1)
        self.frames += 1
        self.first, self.last = min(self.first, pts), max(self.last, pts)
        self.pts.add(pts)
        self.members.add(frame)

    def shape(self):
        return len(self.mean), self.columns

    def keys(self):
        return half(self.mean)


class KeyFrames:
    def __init__(self, buffer, ratio, frames_max, long_max, recent, detail):
        self.size, self.ratio, self.frames_max, self.long_max = buffer, ratio, frames_max, long_max
        self.recent_max, self.detail_max = recent, detail
        self.past, self.buffer, self.recent, self.last = [], [], [], 0

    def all(self):
        return self.past + self.buffer

    def add(self, frame):
        same = [c for c in self.buffer if c.shape() == (len(frame[0]), frame[1])]
        likeness = [alike(c.mean, frame[0]) for c in same]
        best = int(np.argmax(likeness)) if same else -1
        if not same or likeness[best] < self.ratio or \
                (self.frames_max and same[best].frames >= self.frames_max):
            self.last += 1
            cluster = Cluster(self.last, frame)
            self.buffer.append(cluster)
        else:
            cluster = same[best]
            cluster.add(frame)
        self.recent = (self.recent + [(frame, cluster.id)])[-self.recent_max:] if self.recent_max else []
        if len(self.buffer) > self.size:
            self.evict()
        self.bound_details()

    def evict(self):
        cluster = self.buffer.pop(0)
        cluster.mean = half(cluster.mean)
        self.past.append(cluster)
        while len(self.past) > self.long_max:
            if len(self.past) > 1:
                self.merge(int(np.argmin(self.penalties())))
            else:
                self.past.pop(0)

    def penalties(self):
        pairs = list(zip(self.past, self.past[1:]))
        begin, span = self.past[0].first, self.past[-1].last - self.past[0].first
        most = max(a.merges + b.merges for a, b in pairs)
        out = []
        for a, b in pairs:
            like = alike(a.mean, b.mean) if a.shape() == b.shape() else 0
            recency = min(max((b.last - begin) / span, 0), 1) if span > 0 else 0
            merges = (a.merges + b.merges) / most if most else 0
            out.append(0.4 * (1 - like) + 0.2 * recency + 0.4 * merges)
        return out

    def merge(self, index):
        a, b = self.past[index], self.past.pop(index + 1)
        if a.shape() == b.shape():
            a.mean = half((a.frames * a.mean + b.frames * b.mean) / (a.frames + b.frames))
        elif b.frames > a.frames:
            a.mean, a.columns = b.mean, b.columns
        times = a.pts.items + b.pts.items
        kept = min(len(times), TIMES)
        a.pts.items = [times[i * len(times) // kept] for i in range(kept)]
        a.members.items = a.members.items + b.members.items
        while len(a.members.items) > TIMES:
            a.members.thin()
        a.first, a.last = min(a.first, b.first), max(a.last, b.last)
        a.frames += b.frames
        a.merges += b.merges + 1
        a.used = max(a.used, b.used)

    def bound_details(self):
        def size(cluster):
            return sum(frame[0].size * 2 for frame in cluster.members.items)

        while sum(map(size, self.all())) > self.detail_max:
            past = [c for c in self.past if c.members.items]
            if past:
                min(past, key=lambda c: c.used).members.drop()
            else:
                max(self.buffer, key=lambda c: len(c.members.items)).members.thin()


# ---- Routers ----

def coarse(clusters, query):
    q = unit(query.mean(axis=0))
    return np.array([q @ unit(c.keys().mean(axis=0)) for c in clusters])


def fine(clusters, query):
    q = unit(query)
    return np.array([(q @ unit(c.keys()).T).max(axis=1).mean() for c in clusters])


def cross(clusters, query, tau):
    q = unit(query)
    logits = [q @ unit(c.keys()).T / tau for c in clusters]
    top = np.max([one.max(axis=1) for one in logits], axis=0)
    masses = np.array([np.exp(one - top[:, None]).sum(axis=1) for one in logits])
    return (masses / masses.sum(axis=0)).mean(axis=1)


def indexer(clusters, query, weights, heads, width):
    dim = query.shape[1]
    wq = weights[:heads * width * dim].reshape(heads, width, dim)
    wk = weights[heads * width * dim:][:width * dim].reshape(width, dim)
    ww = weights[-heads * dim:].reshape(heads, dim)
    scaled = unit(query) * np.sqrt(dim)
    shares = 1 + scaled @ ww.T
    scores = []
    for cluster in clusters:
        keys = unit(cluster.keys()) * np.sqrt(dim) @ wk.T
        score = 0
        for h in range(heads):
            products = scaled @ wq[h].T @ keys.T / np.sqrt(width)
            score += (shares[:, h] * np.maximum(products, 0).max(axis=1)).sum()
        scores.append(score / len(query))
    return np.array(scores)


def recent(clusters):
    newest = max(c.last for c in clusters)
    return np.array([1 / (1 + (newest - c.last) / 1000) for c in clusters])


def random(clusters, seed):
    scores = []
    for cluster in clusters:
        z = cluster.id * 0x9e3779b97f4a7c15 & MASK ^ (seed << 32 | seed)
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & MASK
        z = (z ^ z >> 27) * 0x94d049bb133111eb & MASK
        scores.append(((z ^ z >> 31) >> 40) / 2**24)
    return np.array(scores)


def top(scores, k):
    """Best first; of equal ones the later."""
    order = sorted((i for i in range(len(scores)) if scores[i] > -np.inf), key=lambda i: (-scores[i], -i))
    return order[:k]


def filtered(clusters, query, prefilter, score):
    if not prefilter or prefilter >= len(clusters):
        return score(clusters)
    kept = sorted(top(coarse(clusters, query), prefilter))
    scores = np.full(len(clusters), -np.inf)
    scores[kept] = score([clusters[i] for i in kept])
    return scores


# ---- Recall ----

def recall(frames, scores, topk, neighbours, tokens_max, n_recent, history):
    newest = frames.recent[len(frames.recent) - min(n_recent, len(frames.recent)):]
    shown = [id(frame) for frame, _ in newest]
    by_id = {c.id: i for i, c in enumerate(frames.all())}
    blocks = [(pts, number if number in by_id else 0, pts, RECENT, 0, len(rows),
               scores[by_id[number]] if number in by_id else np.nan)
              for (rows, _, pts), number in newest]
    left = max(tokens_max - sum(len(frame[0]) for frame, _ in newest), 0) if tokens_max else np.inf
    if history:
        blocks += remembered(frames, scores, topk, neighbours, left, newest, shown)
    return sorted(blocks, key=lambda b: b[:2])


def remembered(frames, scores, topk, neighbours, left, newest, shown):
    past = len(frames.past)
    chosen = top(scores[:past], topk)
    near = {j for i in chosen for j in range(i - neighbours, i + neighbours + 1) if 0 <= j < past}
    wanted = []
    for i in sorted(near) + list(range(past, len(scores))):
        cluster = frames.all()[i]
        why = BUFFER if i >= past else CHOSEN if i in chosen else NEIGHBOUR
        if sum(number == cluster.id for _, number in newest) >= cluster.frames:
            continue
        members = [] if why == NEIGHBOUR else [f for f in cluster.members.items if id(f) not in shown]
        wanted.append([i, cluster, why, members, 0, False])
    wanted.sort(key=lambda w: (-scores[w[0]], -w[0]))
    for w in wanted:
        if len(w[1].mean) <= left:
            left -= len(w[1].mean)
            w[4], w[5] = int(bool(w[3])), not w[3]
    for w in wanted:
        if w[4]:
            more = int(min(len(w[3]) - 1, left // len(w[1].mean)))
            w[4] += more
            left -= more * len(w[1].mean)
    blocks = []
    for i, cluster, why, members, count, merged in wanted:
        if merged:
            blocks.append((cluster.first, cluster.id, cluster.last, why, 1, len(cluster.mean), scores[i]))
        for j in range(count):
            at = j * (len(members) - 1) // (count - 1) if count > 1 else (len(members) - 1) // 2
            rows, _, pts = members[at]
            blocks.append((pts, cluster.id, pts, why, 0, len(rows), scores[i]))
    return blocks


# ---- Cases ----

def scenes(rng, dim, n, count, tokens, columns, stay):
    """Frames that stay at a scene for a while, with noise, and at times come back to one."""
    bases = [rng.standard_normal((tokens, dim)) for _ in range(max(count // stay, 2))]
    at, pts = 0, 1000
    for _ in range(n):
        if rng.random() < 1 / stay:
            at = int(rng.integers(len(bases)))
        rows = bases[at] + 0.7 * rng.standard_normal((tokens, dim)) + 0.2
        yield half(rows), columns, pts
        pts += int(rng.integers(200, 1800))


def two_sizes(rng, dim, n):
    one = list(scenes(rng, dim, n, n, 6, 3, 3))
    two = list(scenes(rng, dim, n, n, 8, 4, 3))
    return [(a if i % 3 else b)[:2] + (1000 + i * 500,) for i, (a, b) in enumerate(zip(one, two))]


def make_cases():
    rng = np.random.default_rng(7)
    base = {"buffer": 5, "ratio": 0.5, "frames_max": 0, "long_max": 512, "recent": 4, "detail": 1000,
            "prefilter": 0, "tau": 0.07, "seed": 1, "heads": 2, "width": 32, "queries": 8}

    def case(name, dim, frames, **other):
        settings = {**base, **other}
        query = rng.standard_normal((settings["queries"], dim)).astype(np.float32)
        frames = list(frames)
        # a question that means something: some of its rows are like tokens that were seen
        for s in range(0, len(query), 2):
            rows = frames[int(rng.integers(len(frames)))][0]
            query[s] += rows[int(rng.integers(len(rows)))].astype(np.float32)
        recalls = [(8, 1, 0, 4, 1), (3, 1, 40 * len(frames[0][0]) // 4, 4, 1), (2, 0, 0, 2, 1), (8, 1, 0, 4, 0),
                   (4, 2, 9 * len(frames[0][0]), 3, 1), (1, 1, 1, 1, 1)]
        return {"name": name, "dim": dim, "frames": frames, "query": query, "recalls": recalls, **settings}

    yield case("D 256", 256, scenes(rng, 256, 60, 40, 16, 4, 3))
    yield case("D 576, 64 tokens", 576, scenes(rng, 576, 40, 30, 64, 8, 3), queries=24)
    yield case("D 2048, four heads", 2048, scenes(rng, 2048, 30, 24, 64, 8, 2), heads=4, width=64, queries=24)
    yield case("D 3584", 3584, scenes(rng, 3584, 14, 10, 20, 5, 2), heads=4, width=64, queries=5)
    yield case("D 37, 7 tokens", 37, scenes(rng, 37, 80, 50, 7, 7, 3), heads=3, width=5, queries=3)
    yield case("D 1, one token", 1, scenes(rng, 1, 10, 10, 1, 1, 2), heads=1, width=1, queries=1)
    yield case("D 2049, 65 tokens, one row", 2049, scenes(rng, 2049, 8, 8, 65, 65, 2), queries=1)
    yield case("D 100, merged in the long memory", 100, scenes(rng, 100, 200, 150, 9, 3, 2), long_max=10)
    yield case("D 64, no long memory", 64, scenes(rng, 64, 40, 30, 4, 2, 2), long_max=0)
    yield case("D 64, one cluster in each", 64, scenes(rng, 64, 40, 30, 4, 2, 2), long_max=1, buffer=1)
    yield case("D 128, details bounded", 128, scenes(rng, 128, 90, 60, 8, 4, 4), detail=11, long_max=12)
    yield case("D 128, one long scene", 128, scenes(rng, 128, 300, 2, 8, 4, 1000), detail=30)
    yield case("D 32, a day in one scene", 32, scenes(rng, 32, 700, 2, 4, 2, 10000))
    yield case("D 96, frames of two sizes", 96, two_sizes(rng, 96, 60), long_max=7)
    yield case("D 96, at most 3 frames a cluster", 96, scenes(rng, 96, 60, 20, 6, 3, 8), frames_max=3)
    yield case("D 512, prefilter", 512, scenes(rng, 512, 70, 70, 12, 4, 1), prefilter=9)
    yield case("D 48, sharp attention", 48, scenes(rng, 48, 40, 30, 5, 5, 2), tau=0.001)
    yield case("D 48, no recent frames, little buffer", 48, scenes(rng, 48, 40, 30, 5, 5, 2), recent=0, buffer=2)
    yield case("D 80, recent frames beyond the buffer", 80, scenes(rng, 80, 50, 50, 6, 3, 1), recent=12, buffer=3,
               long_max=4)
    zeros = [(half(np.zeros((4, 20)) if i % 2 else rng.standard_normal((4, 20))), 2, i * 1000) for i in range(20)]
    yield case("D 20, tokens of zeros", 20, zeros)
    same = [(half(np.ones((4, 2048)) * 0.02 * (1 + i % 3)), 2, i * 1000) for i in range(6)]
    yield case("D 2048, tokens all alike", 2048, same, ratio=2)


def pack(case):
    out = struct.pack("=IIfIIIII", case["dim"], case["buffer"], case["ratio"], case["frames_max"], case["long_max"],
                      case["recent"], case["detail"], len(case["frames"]))
    for rows, columns, pts in case["frames"]:
        out += struct.pack("=IIq", len(rows), columns, pts) + rows.astype(np.float32).tobytes()
    out += struct.pack("=I", len(case["query"])) + case["query"].tobytes()
    out += struct.pack("=IfIII", case["prefilter"], case["tau"], case["seed"], case["heads"], case["width"])
    out += struct.pack("=I", len(case["recalls"]))
    return out + b"".join(struct.pack("=IIIII", *r) for r in case["recalls"])


class Results:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("=" + form, self.data, self.at)
        self.at += struct.calcsize("=" + form)
        return values if len(values) > 1 else values[0]

    def floats(self, *shape):
        n = int(np.prod(shape))
        values = np.frombuffer(self.data, np.float32, n, self.at).astype(np.float64).reshape(shape)
        self.at += 4 * n
        return values

    def times(self):
        n = self.take("I")
        values = struct.unpack_from(f"={n}q", self.data, self.at)
        self.at += 8 * n
        return list(values)


def check_clusters(frames, results, dim):
    faults = []
    count, past = results.take("II")
    if (count, past) != (len(frames.all()), len(frames.past)):
        raise AssertionError(f"{count} clusters, {past} of them long, for {len(frames.all())}, {len(frames.past)}")
    for c in frames.all():
        number, first, last, n_frames, merges = results.take("qqqII")
        pts, members = results.times(), results.times()
        rows = results.floats(results.take("I"), dim)
        want = (c.id, c.first, c.last, c.frames, c.merges, c.pts.items, [f[2] for f in c.members.items])
        if (number, first, last, n_frames, merges, pts, members) != want:
            faults.append(f"cluster {number}: {(first, last, n_frames, merges, pts, members)} for {want}")
        # a mean that falls between two float16 may be rounded either way, and be merged again
        elif not np.allclose(rows, c.keys(), rtol=2e-3, atol=1e-3) or \
                np.mean(np.abs(rows - c.keys()) > 1e-6) > 0.1:
            faults.append(f"cluster {number}: merged tokens differ by {np.abs(rows - c.keys()).max()}")
        c.mean = rows
    return faults


def check_recalls(case, frames, scores, results):
    for settings in case["recalls"]:
        want = recall(frames, scores, *settings)
        got = []
        for _ in range(results.take("I")):
            number, first, last, why, merged, n = results.take("qqqIII")
            got.append((first, number, last, why, merged, n, results.take("f")))
        if [g[:6] for g in got] != [w[:6] for w in want]:
            yield f"recall {settings}: {[g[:6] for g in got]} for {[w[:6] for w in want]}"
        elif not np.allclose([g[6] for g in got], [w[6] for w in want], atol=1e-5, equal_nan=True):
            yield f"recall {settings}: scores differ"


def check(case, results):
    frames = KeyFrames(case["buffer"], case["ratio"], case["frames_max"], case["long_max"], case["recent"],
                       case["detail"] * (case["frames"][0][0].size * 2))
    for frame in case["frames"]:
        frames.add(frame)
    faults = check_clusters(frames, results, case["dim"])
    query, clusters = case["query"].astype(np.float64), frames.all()
    got = {name: results.floats(len(clusters)) for name in ROUTERS}
    plain = fine(clusters, query)
    faults += check_recalls(case, frames, plain, results)
    weights = results.floats(results.take("I"))
    want = {
        "cos_sim_coarse": coarse(clusters, query),
        "cos_sim_fine": filtered(clusters, query, case["prefilter"], lambda some: fine(some, query)),
        "cross-attn": filtered(clusters, query, case["prefilter"], lambda some: cross(some, query, case["tau"])),
        "indexer": indexer(clusters, query, weights, case["heads"], case["width"]),
        "recent": recent(clusters),
        "random": random(clusters, case["seed"]),
    }
    for name in ROUTERS:
        # a sharp softmax multiplies what float32 leaves of a cosine by 1 / tau
        limit = 1e-5 * (max(1, 0.07 / case["tau"]) if name == "cross-attn" else 1)
        if not np.array_equal(np.isinf(got[name]), np.isinf(want[name])):
            faults.append(f"{name}: other clusters were filtered out")
            continue
        real = np.isfinite(want[name])
        got[name], want[name] = got[name][real], want[name][real]
        # the indexer's scores have no bound, as cosines do
        worst = (np.abs(got[name] - want[name]) / np.maximum(np.abs(want[name]), 1)).max()
        if not worst <= limit:
            faults.append(f"{name}: scores differ by {worst}")
    return faults


def seed_cross_attention(query, clusters):
    """Seed 002: softmax over a frame's own tokens, then summed over them."""
    scores = []
    for cluster in clusters:
        logits = query @ cluster.T / np.sqrt(query.shape[1])
        attention = np.exp(logits - logits.max(axis=1, keepdims=True))
        attention /= attention.sum(axis=1, keepdims=True)
        scores.append(attention.sum(axis=1).mean())
    return np.array(scores)


def main():
    cases = list(make_cases())
    with tempfile.TemporaryDirectory() as folder:
        into, out = pathlib.Path(folder, "cases"), pathlib.Path(folder, "results")
        into.write_bytes(b"".join(map(pack, cases)))
        subprocess.run([sys.argv[1], into, out], check=True)
        results = Results(out.read_bytes())
    print(f"1..{len(cases) + 1}")
    bad = 0
    for number, case in enumerate(cases, 1):
        faults = check(case, results)
        bad += bool(faults)
        print(f"{'not ok' if faults else 'ok'} {number} - {case['name']}")
        for fault in faults:
            print(f"# {fault[:2000]}")
    rng = np.random.default_rng(3)
    scores = seed_cross_attention(rng.standard_normal((9, 40)), rng.standard_normal((30, 12, 40)))
    constant = np.abs(scores - 1).max() < 1e-12
    print(f"{'ok' if constant else 'not ok'} {len(cases) + 1} - the cross-attention of the seed is constant")
    sys.exit(bool(bad or not constant))


main()
