#!/usr/bin/env python3
"""The timeline's commits, and questions to one of a million captions: JSON lines.

The peer is Python's sqlite3 with the same schema and settings (WAL, synchronous FULL) on the same
disk in the same run; it keeps one caption a commit, as a handler does that answers when its row is
safe, and for comparison a hundred a commit. It is given its texts ready made, index words included.
"""
import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

FACTS = json.dumps([
    {"kind": "object", "name": name, "score": 0.5, "count": 1, "box": [0.1, 0.2, 0.3, 0.4],
     "start_ms": 0, "end_ms": 5000}
    for name in ("person", "car", "bicycle", "dog", "street", "STOP", "bus")], separators=(",", ":"))
NAMES = "person\ncar\nbicycle\ndog\nstreet\nSTOP\nbus\n"
TEXT = "%d people and a car on a street. A dog moves left; a sign reads \"STOP\"."


def emit(what, **values):
    print(json.dumps({"bench": "store", "what": what, **values}), flush=True)


def run(program, *arguments):
    out = subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout)


def median(function, rounds):
    return statistics.median(function() for _ in range(rounds))


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -16384")
    return db


def sync_us(folder):
    """What the disk takes to make 4 KiB safe."""
    path = os.path.join(folder, "sync")
    times = []
    with open(path, "wb") as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begun) * 1e6)
    os.remove(path)
    return round(statistics.median(times))


# ---- Commits ----

def insert(db, owner, number):
    text = TEXT % (number % 7 + 2)
    start = (number - 1) * 5000
    row = db.execute(
        "INSERT INTO captions (owner, id, seq, start_ms, end_ms, final, backend, lang, text, facts)"
        " VALUES (?, ?, ?, ?, ?, 1, 'template', 'en', ?, ?)",
        (owner, str(number), number, start, start + 5000, text, FACTS)).lastrowid
    db.execute("INSERT INTO captions_index (rowid, text, names) VALUES (?, ?, ?)",
               (row, text, NAMES))
    db.execute("UPDATE streams SET captions = ?, end_ms = ?, longest_ms = 5000, last_seq = ?, "
               "highest_number = ? WHERE number = ?", (number, start + 5000, number, number, owner))


def commits_of_peer(template, folder, streams, seconds, a_commit):
    path = os.path.join(folder, "peer.db")
    shutil.copy(template, path)
    with contextlib.closing(connect(path)) as db:
        owners = [db.execute("INSERT INTO streams (id, source, created_us) VALUES (?, '', 0)",
                             (f"stream-{i}",)).lastrowid for i in range(streams)]
        begun, n = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            db.execute("BEGIN IMMEDIATE")
            for _ in range(a_commit):
                insert(db, owners[n % streams], n // streams + 1)
                n += 1
            db.execute("COMMIT")
        took = time.perf_counter() - begun
    remove(path)
    return n / took


def remove(path):
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path + end)


def measure_commits(program, folder, options):
    template = os.path.join(folder, "template.db")
    run(program, "fill", template, 1, 0)
    emit("disk", fdatasync_us=sync_us(folder))
    path = os.path.join(folder, "ours.db")
    for streams in (1, 10, 100, 500):
        ours, peer, peer_of_hundred = [], [], []
        for _ in range(options.rounds):
            ours.append(run(program, "commits", path, streams, options.seconds))
            remove(path)
            peer.append(commits_of_peer(template, folder, streams, options.seconds, 1))
            peer_of_hundred.append(
                commits_of_peer(template, folder, streams, options.seconds, 100))
        middle = sorted(ours, key=lambda one: one["per_second"])[len(ours) // 2]
        base = statistics.median(peer)
        emit("commits", streams=streams, per_second=middle["per_second"], p50_us=middle["p50_us"],
             p99_us=middle["p99_us"], python_per_second=round(base),
             python_hundred_a_commit_per_second=round(statistics.median(peer_of_hundred)),
             ratio=round(middle["per_second"] / base, 2))


# ---- A large timeline ----

def range_of_peer(db, end_ms, streams, rounds):
    times = []
    for i in range(rounds):
        start = i * 7919 * 1000 % end_ms
        begun = time.perf_counter()
        rows = db.execute(
            "SELECT s.id, c.id, c.start_ms, c.end_ms, c.final, c.backend, c.lang, c.text, c.facts, "
            "c.seq FROM captions c JOIN streams s ON s.number = c.owner WHERE s.id = ? "
            "AND c.start_ms < ? AND c.end_ms > ? ORDER BY c.start_ms LIMIT 100",
            (f"stream-{i % streams}", start + 300000, start)).fetchall()
        found = [row[:8] + (json.loads(row[8]),) for row in rows]
        times.append((time.perf_counter() - begun) * 1e6)
        assert found
    return round(statistics.median(times))


def measure_large(program, folder, options):
    path = os.path.join(folder, "large.db")
    streams = 100
    filled = run(program, "fill", path, streams, options.captions // streams)
    emit("fill", **filled, bytes=os.path.getsize(path))
    asked = run(program, "ask", path, 300)
    with contextlib.closing(connect(path)) as db:
        end_ms = options.captions // streams * 5000
        peer = range_of_peer(db, end_ms, streams, 300)
        emit("range", **asked["range"], python_p50_us=peer,
             ratio=round(peer / asked["range"]["p50_us"], 2))
    for name in ("range_of_all", "since", "words", "streams"):
        emit(name, **asked[name])
    emit("open", us=median(lambda: run(program, "open", path)["open_us"], 5))
    with contextlib.closing(connect(path)) as db:
        db.execute("UPDATE meta SET value = 0 WHERE key = 'clean'")
    emit("open_after_crash", us=run(program, "open", path)["open_us"])
    emit("commits_on_it", **run(program, "commits", path, 100, options.seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--folder", help="on the disk that is meant; default: the temporary one")
    parser.add_argument("--captions", type=int, default=1000000, help="of the large timeline")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    program = os.path.join(options.build, "bench", "store_bench")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure_commits(program, folder, options)
        measure_large(program, folder, options)


if __name__ == "__main__":
    main()
