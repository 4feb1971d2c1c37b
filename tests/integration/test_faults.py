"""Faults of the whole program: the server or its worker is killed, stopped or told to end at any moment, the disk is
full. What a client was sent is in the timeline, once; who did not die goes on."""
import contextlib
import http.client
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import websockets.exceptions

from live import PATIENCE, Client, Server, frame, jpeg, packet, wait_until
from tap import LONG, Case, Skip, check_sanitizers, contains, equal, main

ZERO = 1_790_000_000.0
GONE = (OSError, http.client.HTTPException, ValueError)


def say(text):
    print(f"# {text}", flush=True)


def check_sum(counters):
    equal(counters["received"], sum(counters[k] for k in ("encoded", "gated", "late", "dropped", "queued")),
          f"the accounting identity of {counters}")
    equal(counters["dropped"], sum(counters["dropped_by"].values()), "drops by reason")


class Told:
    """The captions that a client was sent, over all of its connections."""

    def __init__(self):
        self.seqs, self.newest = [], {}

    def add(self, caption):
        self.seqs.append(caption["seq"])
        self.newest[caption["id"]] = caption

    @property
    def last(self):
        return self.seqs[-1] if self.seqs else 0

    def check(self, kept, whole=True):
        """Nothing came twice; all of it is in the timeline, once, as it was told last. whole: and nothing else is."""
        equal(self.seqs, sorted(set(self.seqs)), "seq rises, nothing comes twice")
        ids = [c["id"] for c in kept]
        equal(len(ids), len(set(ids)), "each caption is there once")
        by_id = {c["id"]: c for c in kept}
        for number, caption in self.newest.items():
            contains(ids, number)
            if whole:
                equal([by_id[number][k] for k in ("seq", "start_ms", "end_ms", "text")],
                      [caption[k] for k in ("seq", "start_ms", "end_ms", "text")], f"caption {number}")
            else:
                assert by_id[number]["seq"] >= caption["seq"], (by_id[number], caption)
        if whole:
            equal(sorted(by_id, key=int), sorted(self.newest, key=int), "what is kept is what was told")


class Runner(threading.Thread):
    """A thread whose failure is that of the test."""

    def __init__(self):
        super().__init__(daemon=True)
        self.failure, self.stopping = None, threading.Event()

    def run(self):
        try:
            self.work()
        except BaseException as why:  # pylint: disable=broad-except
            self.failure = why

    def finish(self):
        self.stopping.set()
        self.join(PATIENCE)
        if self.failure:
            raise self.failure
        assert not self.is_alive(), f"{type(self).__name__} does not end"


class Pusher(Runner):
    """A client of /ws/stream that pushes pictures of its colours and comes back when the connection is lost."""

    def __init__(self, server, name, colours=("red", "green", "blue"), binary=False, change=4, pause=0.03):
        super().__init__()
        self.server, self.name, self.binary = server, name, binary
        self.colours, self.change, self.pause = colours, change, pause
        self.told, self.client, self.index, self.losses, self.acked = Told(), None, 0, 0, 0
        self.errors, self.greeted, self.codes = [], False, []
        self.start()

    @property
    def connected(self):
        return self.client is not None

    def connect(self):
        while not self.stopping.is_set():
            try:
                client = Client(self.server)
                if self.greeted:
                    client.say(type="resume", stream=self.name, last_seq=self.told.last)
                else:
                    client.say(type="hello", stream=self.name, binary=self.binary)
                client.hear_type("resume" if self.greeted else "hello")
            except Exception:  # pylint: disable=broad-except
                time.sleep(0.05)  # the server is away, or just going
                continue
            if not self.greeted and self.binary:
                self.greeted = True
            self.greeted = True
            if self.binary and self.losses:
                self.binary = False  # a resumed connection has said no hello: it sends text
            return client
        return None

    def take(self, message):
        if message and message["type"] == "caption":
            self.told.add(message["data"])
        elif message and message["type"] == "ack":
            self.acked += message["frames"]
        elif message and message["type"] == "error":
            self.errors.append(message["detail"])

    def lost(self):
        while self.client.code is None:  # what was on its way counts
            self.take(self.client.hear())
        self.codes.append(self.client.code)
        self.losses += 1
        self.client.cut()
        self.client = None

    def step(self):
        picture = jpeg(self.colours[self.index // self.change % len(self.colours)])
        make = packet if self.binary else frame
        self.client.send(make(self.index, ZERO + self.index * 0.5, picture))
        self.index += 1

    def hear_until(self, due):
        while self.client.code is None and (left := due - time.monotonic()) > 0:
            self.take(self.client.hear(left))

    def work(self):
        while not self.stopping.is_set():
            if self.client is None:
                self.client = self.connect()
                continue
            due = time.monotonic() + self.pause
            try:
                self.step()
            except Exception:  # pylint: disable=broad-except
                self.lost()
                continue
            self.hear_until(due)
            if self.client.code is not None:
                self.lost()

    def end(self):
        """The last words, and all captions that were still to come."""
        self.finish()
        if self.client is None:
            self.stopping.clear()
            self.client = self.connect()
        self.client.say(type="end")
        while self.client.code is None:
            self.take(self.client.hear())
        equal(self.client.code, 1000)
        self.client.cut()


class Listener(Runner):
    """A reader of a stream's events that comes back with Last-Event-ID."""

    def __init__(self, server, name):
        super().__init__()
        self.server, self.name = server, name
        self.told, self.bye, self.losses, self.volatile, self.connected = Told(), None, 0, 0, False
        self.start()

    def work(self):
        while not self.stopping.is_set() and self.bye is None:
            try:
                with self.server.events(f"/v1/streams/{self.name}/events", self.told.last) as events:
                    self.connected = True
                    for name, number, data in events:
                        if name == "caption":
                            equal(number, data["seq"])
                            self.volatile += data.get("durable") is False
                            self.told.add(data)
                        elif name == "bye":
                            self.bye = data["reason"]
                            if "going down" in self.bye:
                                self.bye = None
            except AssertionError as why:
                if "503" not in str(why):
                    raise
            except GONE:
                pass
            finally:
                self.losses += self.connected
                self.connected = False
            time.sleep(0.02)


def ready_again(server):
    """Starts it again. Seconds until it says that it is healthy."""
    begin = time.monotonic()
    server.start()
    while server.request("GET", "/healthz")[0] != 200:
        assert time.monotonic() - begin < PATIENCE, "it does not become healthy"
        time.sleep(0.005)
    return time.monotonic() - begin


def check_database(case, folder=None):
    """As a copy, so that what the server finds is what the kill left."""
    source = pathlib.Path(folder or case.folder / "data" / "manako")
    copy = case.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("timeline.db", "timeline.db-wal"):
        if (source / name).exists():
            shutil.copy(source / name, copy)
    with contextlib.closing(sqlite3.connect(copy / "timeline.db")) as db:
        equal(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        equal(db.execute("PRAGMA foreign_key_check").fetchall(), [])


def film(case, name="film.mp4", **options):
    os.makedirs(case.path("videos"), exist_ok=True)
    options.setdefault("colours", ("red", "green", "blue", "yellow"))
    options.setdefault("seconds", 2)
    case.clip(f"videos/{name}", rate=10, **options)
    return case.path("videos")


def make_film(server, name="film", **params):
    status, stream, _ = server.request("POST", "/v1/streams", {
        "id": name, "source": "film.mp4",
        "params": {"realtime": True, "loop": True, "fps": 4, "caption_min": "500ms", **params}})
    equal(status, 201, stream)


# ---- the server is killed ----

def test_server_killed(case: Case):
    rounds, luck = 50 if LONG else 10, random.Random(7)
    root = film(case)
    server = Server(case, "--files-root", root, "--frame-batch-size", 6, "--caption-min", "1",
                    "--resume-window", "600")
    make_film(server)
    pushers = [Pusher(server, "text"), Pusher(server, "binary", binary=True)]
    wait_until("all streams", lambda: len(server.get("/v1/streams")["streams"]) == 3)
    listeners = [Listener(server, name) for name in ("film", "text", "binary")]
    times = []
    for number in range(rounds):
        if number % 2:  # else also while some are still coming back
            wait_until("all of them", lambda: all(one.connected for one in pushers + listeners))
        time.sleep(luck.uniform(0.05, 1.2))
        server.kill()
        if number % 5 == 0:
            check_database(case)
        times.append(ready_again(server))
        for one in pushers + listeners:
            if one.failure:
                raise one.failure
    say(f"{rounds} kills; ready again after {sorted(times)[len(times) // 2]:.3f} s (median), {max(times):.3f} s (most)")
    # a round in peace, so that everyone has come back
    seen = {one: one.told.last for one in pushers + listeners}
    for one, last in seen.items():
        wanted = 2 if one.name == "film" else rounds // 2
        wait_until(f"captions for {type(one).__name__} {one.name}",
                   lambda: one.failure or (one.told.last > last and len(one.told.seqs) >= wanted))
    for pusher in pushers:
        pusher.end()
    server.request("DELETE", "/v1/streams/film")
    for listener in listeners:
        listener.join(PATIENCE)
        listener.finish()
        assert listener.bye, listener.name
    for one in pushers + listeners:
        one.told.check(server.captions(one.name))
        assert one.losses >= rounds // 2, (one.name, one.losses)
    for name in ("film", "text", "binary"):
        captions = server.captions(name)
        for earlier, later in zip(captions, captions[1:]):
            assert later["start_ms"] >= earlier["end_ms"] - 1, (name, earlier, later)
        check_sum(server.stream(name)["counters"])
    equal(server.stop(), 0)
    check_database(case)


def test_server_killed_while_starting(case: Case):
    """Each start is cut off a little later than the one before."""
    root = film(case)
    server = Server(case, "--files-root", root)
    make_film(server)
    wait_until("a caption", lambda: server.captions("film"))
    before = server.captions("film")
    server.kill()
    for number in range(40 if LONG else 8):
        process = subprocess.Popen([os.environ["MANAKO"], "serve", "--port", "0", "--files-root", root],
                                   env=case.env, cwd=case.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(number * (0.01 if LONG else 0.04))
        process.kill()
        process.wait()
    check_database(case)
    say(f"ready after {ready_again(server):.3f} s")
    kept = {c["id"]: c for c in server.captions("film")}
    for caption in before:
        contains(list(kept), caption["id"])
    wait_until("more", lambda: len(server.captions("film")) > len(kept))
    equal(server.stop(), 0)


# ---- the worker is killed ----

def children(pid):
    with contextlib.suppress(OSError):
        return [int(x) for x in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def worker_of(server):
    def find():
        for child in children(server.process.pid):
            with contextlib.suppress(OSError):
                if b"worker" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    return child
        return None
    return wait_until("the worker", find)


def gaps(captions):
    return [c for c in captions if c["facts"] and c["facts"][0]["kind"] == "gap"]


THINGS = {"red": "strawberry", "green": "broccoli", "blue": "seashore", "yellow": "banana", "white": "polar bear",
          "gray": "elephant"}


def check_colours(captions, *own):
    """None tells of another stream's pictures."""
    others = [thing for colour, thing in THINGS.items() if colour not in own]
    own = [THINGS[colour] for colour in own]
    for caption in captions:
        if caption in gaps(captions):
            continue
        text = caption["text"].lower()
        assert any(c in text for c in own) and not any(c in text for c in others), caption


def test_worker_killed(case: Case):
    """Killed, aborted, crashed, stopped: no client notices but by a gap, and none gets another's captions."""
    rounds, luck = 100 if LONG else 5, random.Random(3)
    root = film(case, colours=("gray", "white"))
    server = Server(case, "--files-root", root, "--frame-batch-size", 6, "--caption-min", "1", "--worker-hang", "10s")
    make_film(server)
    pushers = [Pusher(server, "warm", ("red", "yellow")), Pusher(server, "cold", ("blue", "green"), binary=True)]
    wait_until("all streams", lambda: len(server.get("/v1/streams")["streams"]) == 3)
    listener = Listener(server, "film")
    names = ("warm", "cold", "film")
    seen_all = lambda: {n: server.stream(n)["clock_ms"] or 0 for n in names}
    # SIGILL, not SIGSEGV: a sanitizer would report that one as its own
    kinds = [signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT, signal.SIGILL, signal.SIGKILL]
    for number in range(rounds):
        before = wait_until("all streams seen", lambda: (s := seen_all()) and min(s.values()) >= 0 and s)
        time.sleep(luck.uniform(0.05, 0.6))
        worker, kind = worker_of(server), kinds[number % len(kinds)]
        os.kill(worker, kind)
        wait_until(f"another worker after {kind.name}", lambda: worker_of(server) != worker)
        wait_until("all streams going on", lambda: all(server.stream(n)["clock_ms"] > before[n] for n in names) and
                   all(server.stream(n)["counters"]["worker_deaths"] == number + 1 for n in names))
        for pusher in pushers:
            equal((pusher.losses, pusher.errors, pusher.failure), (0, [], None), f"{pusher.name} after {kind.name}")
    equal(listener.losses, 0, "the reader of events stays connected")
    for pusher in pushers:
        pusher.end()
        equal(pusher.acked, pusher.index, "every frame is acknowledged")
    server.request("DELETE", "/v1/streams/film")
    listener.join(PATIENCE)
    listener.finish()
    for name, own in (("warm", ("red", "yellow")), ("cold", ("blue", "green")), ("film", ("gray", "white"))):
        captions = server.captions(name)
        check_colours(captions, *own)
        missed = gaps(captions)
        assert len(missed) >= max(rounds // 2, 1), (name, len(missed))
        assert all("worker" in g["facts"][0]["name"] for g in missed), missed
        stream = server.stream(name)
        equal(stream["state"], "ended")
        check_sum(stream["counters"])
        equal(stream["counters"]["worker_deaths"], rounds)
    for one in pushers + [listener]:
        one.told.check(server.captions(one.name))
    metrics = server.get("/metrics").decode()
    equal(float(next(x for x in metrics.splitlines() if x.startswith("manako_worker_deaths_total ")).split()[1]), rounds)
    equal(server.stop(), 0)


def test_a_stream_that_crashes_the_worker(case: Case):
    """It is ended after three crashes; those beside it go on."""
    with Server(case, "--worker-fault", "abort:bad", "--frame-batch-size", 4, "--caption-min", "1") as server:
        good = Pusher(server, "good", ("blue", "green"))
        wait_until("the good one", lambda: good.told.seqs)
        with Client(server) as bad:
            bad.say(type="hello", stream="bad")
            bad.hear_type("hello")
            index, until = 0, time.monotonic() + PATIENCE
            while bad.code is None and time.monotonic() < until:
                with contextlib.suppress(websockets.exceptions.ConnectionClosed):
                    bad.send(frame(index, ZERO + index, jpeg("red")))
                bad.hear(0.02)
                index += 1
            equal(bad.code, 1011)
            contains(bad.of("error")[-1]["detail"], "worker died 3 times")
        stream = server.stream("bad")
        equal((stream["state"], stream["error"]["code"], stream["counters"]["worker_deaths"]), ("failed", "worker", 3))
        check_sum(stream["counters"])
        before = good.told.last
        wait_until("more of the good one", lambda: good.told.last > before)
        equal((good.losses, good.errors), (0, []))
        good.end()
        equal(server.stream("good")["counters"]["worker_deaths"], 3)
        check_colours(server.captions("good"), "blue", "green")
        good.told.check(server.captions("good"))
        # nothing of it is left: others may begin
        with Client(server) as client:
            client.say(type="hello", stream="next")
            client.hear_type("hello")
            client.send(frame(0, ZERO, jpeg()))
            client.say(type="end")
            client.drain()
            equal(client.code, 1000)
        equal(server.stream("next")["counters"]["worker_deaths"], 0)


def test_a_worker_that_dies_at_every_frame(case: Case):
    """Even so the server serves, and ends in time."""
    with Server(case, "--worker-fault", "kill-loop") as server:
        pusher = Pusher(server, "hopeless")
        wait_until("deaths", lambda: server.get("/v1/streams")["streams"] and
                   server.stream("hopeless")["counters"]["worker_deaths"] >= 3)
        equal(server.get("/healthz")["status"], "ok")
        equal((pusher.losses, pusher.errors), (0, []))
        pusher.end()
        check_sum(server.stream("hopeless")["counters"])


# ---- the disk ----

def test_a_full_disk(case: Case):
    """By a limit on the size of files: captions go on, marked as not durable; with room again they are kept again."""
    with Server(case, "--frame-batch-size", 4, "--caption-min", "1") as server:
        pusher = Pusher(server, "full")
        wait_until("captions", lambda: len(pusher.told.seqs) >= 3)
        listener = Listener(server, "full")
        wait_until("their events", lambda: len(listener.told.seqs) >= 3)
        pid, (soft, hard) = server.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        for number in range(5 if LONG else 2):
            before = listener.volatile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, hard))
            wait_until("captions that are not durable", lambda: listener.volatile >= before + 3)
            wait_until("the news of it", lambda: server.request("GET", "/healthz")[1]["parts"]["store"]["status"] == "down")
            equal(server.request("GET", "/healthz")[0], 503)
            equal(server.stream("full")["state"], "running")
            assert server.captions("full"), "what was kept can be read"
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
            wait_until("healing", lambda: server.request("GET", "/healthz")[0] == 200)
            kept = len(server.captions("full"))
            wait_until("captions that are kept again", lambda: len(server.captions("full")) >= kept + 3)
        equal((pusher.losses, pusher.errors), (0, []))
        pusher.end()
        listener.join(PATIENCE)
        listener.finish()
        equal(listener.losses, 1, "only its end ends the reader")
        equal(pusher.told.seqs, sorted(set(pusher.told.seqs)))
        kept = server.captions("full")
        equal([c["start_ms"] for c in kept], sorted(c["start_ms"] for c in kept))
        volatile = {n for n, c in listener.told.newest.items() if c.get("durable") is False}
        for number, caption in listener.told.newest.items():
            if number not in volatile:
                contains([c["id"] for c in kept], number)
    check_database(case)
    with Server(case) as server:
        equal(server.stream("full")["state"], "ended")


def mounted(case, size, flags=""):
    """A prefix that runs a command beside a small file system of its own at disk/; it goes with the command."""
    os.makedirs(case.path("disk"), exist_ok=True)
    script = f'mount -t tmpfs -o size={size} none "$0"{flags} && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, case.path("disk")]
    if subprocess.run(prefix + ["true"], capture_output=True, check=False).returncode:
        raise Skip("no file system can be mounted here")
    return prefix


def test_a_full_file_system(case: Case):
    prefix = mounted(case, "1m")
    with Server(case, "--data-dir", case.path("disk"), "--frame-batch-size", 4, "--caption-min", "1", prefix=prefix) as server:
        pusher = Pusher(server, "full")
        wait_until("captions", lambda: len(pusher.told.seqs) >= 3)
        listener = Listener(server, "full")
        ballast = pathlib.Path(f"/proc/{server.process.pid}/root{case.path('disk')}/ballast")
        try:
            with open(ballast, "wb", buffering=0) as out:
                while True:
                    out.write(b"x" * 4096)
        except PermissionError:
            raise Skip("the file system cannot be reached") from None
        except OSError:
            pass
        wait_until("captions that are not durable", lambda: listener.volatile >= 3)
        equal(server.stream("full")["state"], "running")
        ballast.unlink()
        wait_until("healing", lambda: server.request("GET", "/healthz")[0] == 200)
        kept = len(server.captions("full"))
        wait_until("captions that are kept again", lambda: len(server.captions("full")) >= kept + 3)
        equal((pusher.losses, pusher.errors), (0, []))
        pusher.end()
        listener.join(PATIENCE)
        listener.finish()


def test_a_read_only_file_system(case: Case):
    """From the start: a sentence, and no server."""
    prefix = mounted(case, "1m", ' && mount -o remount,ro "$0"')
    for arguments in (("--data-dir", case.path("disk")), ("--data-dir", case.path("disk/below")),
                      ("--db", case.path("disk/timeline.db"))):
        run = subprocess.run(prefix + [os.environ["MANAKO"], "serve", "--port", "0", *arguments], env=case.env,
                             cwd=case.folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        equal(run.returncode, 9, run.stderr)
        contains(run.stderr, case.path("disk"), "ead-only")
        assert "Manako is at" not in run.stderr, run.stderr
        check_sanitizers(run.stderr)


def test_a_second_server_on_the_data(case: Case):
    with Server(case) as server:
        result = case.run("serve", "--port", "0")
        equal(result.status, 9, result.err)
        contains(result.err, "another server", "serve.lock")
        os.makedirs(case.path("other"))
        result = case.run("serve", "--port", "0", "--data-dir", case.path("other"),
                          "--db", case.path("data/manako/timeline.db"))
        equal(result.status, 9, result.err)
        contains(result.err, "another server", "timeline.db.lock")
        assert "Manako is at" not in result.err, result.err
        equal(server.get("/healthz")["status"], "ok")
        equal(case.run("captions", "none").status in (0, 4), True, "reading beside it is fine")
    with Server(case):
        pass


# ---- it is told to end ----

def test_told_to_end_under_load(case: Case):
    """In time, with a word to everyone, and nothing that was told is lost."""
    root = film(case)
    for number in range(5 if LONG else 2):
        server = Server(case, "--files-root", root, "--frame-batch-size", 6, "--caption-min", "1")
        if number == 0:
            make_film(server)
        pushers = [Pusher(server, f"push{number}-{i}", binary=i % 2 == 1, pause=0.002) for i in range(6)]
        wait_until("captions", lambda: all(p.told.seqs for p in pushers))
        listeners = [Listener(server, p.name) for p in pushers] + [Listener(server, "film")]
        wait_until("events", lambda: all(one.told.seqs for one in listeners))
        for one in pushers + listeners:
            one.stopping.set()  # once it is cut off it does not come back
        begin = time.monotonic()
        equal(server.stop(), 0)
        say(f"ended {time.monotonic() - begin:.2f} s after SIGTERM")
        for pusher in pushers:
            pusher.finish()
            while pusher.client.code is None:
                pusher.take(pusher.client.hear())
            equal(pusher.client.code, 1001, f"the last word to {pusher.name}")
        for listener in listeners:
            listener.finish()
        server.start()
        for one in pushers:
            one.told.check(server.captions(one.name))
        for one in listeners:
            one.told.check(server.captions(one.name), whole=one.name != "film")
        equal(server.stop(), 0)
    check_database(case)


def test_a_reload_under_load(case: Case):
    """A bad file changes nothing; streams and connections do not notice, good or bad."""
    config = pathlib.Path(case.path("config.yaml"))
    config.write_text("token_ttl: 60\n")
    with Server(case, "--frame-batch-size", 6, "--caption-min", "1") as server:
        pusher = Pusher(server, "steady")
        wait_until("captions", lambda: pusher.told.seqs)
        for text in ("token_ttl: 30\n", "token_ttl: yes please\n", "a: [\n", "\x00\xff", "token_ttl: 1s\nnothing: 1\n",
                     "lang: ja\n", "- x\n", "x" * 3_000_000, "token_ttl: 20\n"):
            config.write_bytes(text.encode("latin-1"))
            lines, before = len(server.lines), pusher.told.last
            server.process.send_signal(signal.SIGHUP)
            line = wait_until("a word about it", lambda: next(
                (x for x in server.lines[lines:] if "were read again" in x or "nothing was changed" in x), None))
            assert line.count("\n") == 1 and len(line) < 1000 and "\x00" not in line, line[:300]
            equal("nothing was changed" in line, text not in ("token_ttl: 30\n", "lang: ja\n", "token_ttl: 20\n"), line)
            wait_until("more captions", lambda: pusher.told.last > before)
        # nor does a worker that is started meanwhile
        config.write_text("nonsense: yes\n")
        worker = worker_of(server)
        os.kill(worker, signal.SIGKILL)
        wait_until("another worker", lambda: worker_of(server) != worker)
        before = pusher.told.last
        wait_until("captions again", lambda: pusher.told.last > before + 2)
        config.unlink()
        equal((pusher.losses, pusher.errors), (0, []))
        pusher.end()
        pusher.told.check(server.captions("steady"))


if __name__ == "__main__":
    sys.setswitchinterval(0.001)
    main([value for name, value in list(globals().items()) if name.startswith("test_")])
