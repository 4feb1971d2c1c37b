#!/usr/bin/env python3
"""What the server takes: frames, streams, overload, idle connections, readers, requests. One JSON
line for each figure, with its target and whether it is met.

Everything runs on loopback, clients and server on the same machine. Processor time is that of the
server with its workers; the load average of the machine stands in each line, because latencies and
shares mean something on a quiet machine only. Pictures are those of the sample video.
"""
import argparse
import atexit
import contextlib
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FETCH = os.path.join(os.path.dirname(HERE), "tools", "fetch.py")
TICKS = os.sysconf("SC_CLK_TCK")
START_S, STOP_S = 60, 30
GATE_MS = 40  # a bound of the histogram
BATCHES = ("--frame-batch-size", 4)  # a caption every 2 s, so that a short run sees them advance
PEER_PYTHON = "3.11"  # for which tools/lock.json pins its packages

processes = []


def emit(what, met=None, target=None, **values):
    line = {"bench": "server", "what": what, **values, "load": round(os.getloadavg()[0], 1)}
    if target is not None:
        line |= {"target": target, "met": met}
    print(json.dumps(line), flush=True)


# ---- processes ----

def launch(command, **options):
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, **options)
    processes.append(process)
    return process


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in processes:
        processes.remove(process)


@atexit.register
def end_all():
    for process in list(processes):
        end(process)


def family(pid):
    """The process and its children."""
    pids = [pid]
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            pids += map(int, file.read().split())
    return pids


def cpu_s(pid):
    """Of a process and its children, those that have ended included."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{one}/stat", encoding="utf-8") as file:
                total += sum(map(int, file.read().rsplit(")", 1)[1].split()[11:15]))
    return total / TICKS


def memory_kib(pid):
    """(resident, proportional) of a process and its children, added up."""
    rss = pss = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{one}/smaps_rollup", encoding="ascii") as file:
                text = file.read()
            rss += int(re.search(r"^Rss:\s+(\d+)", text, re.M).group(1))
            pss += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
    return rss, pss


class Server:
    """`manako serve` with a timeline of its own."""

    def __init__(self, bench, *arguments):
        self.folder = tempfile.mkdtemp(dir=bench.folder)
        self.process = launch([bench.program, "serve", "--port", 0, "--stub-model", "--log-level",
                               "error", "--data-dir", self.folder, "--streams-max", 2000,
                               *arguments], stderr=subprocess.PIPE, cwd=self.folder, text=True)
        self.pid, self.port = self.process.pid, None
        for line in self.process.stderr:
            found = re.search(r"http://[^ /]*:(\d+)/", line)
            if found:
                self.port = int(found.group(1))
                break
        if self.port is None:
            sys.exit("bench server: the server does not start")
        threading.Thread(target=self._drain, daemon=True).start()
        deadline = time.monotonic() + START_S
        while self.get("/healthz")[0] != 200:
            if time.monotonic() > deadline:
                sys.exit("bench server: the server does not become healthy")
            time.sleep(0.1)

    def _drain(self):
        for line in self.process.stderr:
            sys.stderr.write(line)

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def streams(self):
        return json.loads(self.get("/v1/streams")[1])["streams"]

    def metrics(self):
        """Name with labels -> value."""
        lines = self.get("/metrics")[1].splitlines()
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Frames:
    """Counters of all streams, as the metrics tell them."""

    def __init__(self, metrics):
        self.received = metrics.get("manako_frames_received_total", 0)
        self.queued = metrics.get("manako_frames_queued", 0)
        for fate in ("encoded", "gated", "late", "dropped"):
            setattr(self, fate, metrics.get(f'manako_frames_total{{fate="{fate}"}}', 0))
        self.buckets = sorted(
            (float(re.search(r'le="([^"]+)"', name).group(1)), count)
            for name, count in metrics.items() if name.startswith("manako_gate_latency_ms_bucket"))

    def since(self, before):
        """What came after."""
        now = Frames({})
        for name in ("received", "encoded", "gated", "late", "dropped"):
            setattr(now, name, getattr(self, name) - getattr(before, name))
        now.queued = self.queued
        old = dict(before.buckets)
        now.buckets = [(bound, count - old.get(bound, 0)) for bound, count in self.buckets]
        return now

    def judged(self):
        return self.encoded + self.gated

    def exact(self):
        return self.received == self.encoded + self.gated + self.late + self.dropped + self.queued

    def share_within(self, ms):
        """Of the frames that came to the gate, those that had its verdict in time."""
        counts = dict(self.buckets)
        total = max(counts.values(), default=0)
        return counts.get(float(ms), 0) / total if total else 0.0

    def percentile_ms(self, share):
        """The bound of the bucket in which it lies: it is at most that."""
        total = max((count for _, count in self.buckets), default=0)
        return next((bound for bound, count in self.buckets if total and count >= share * total), 0)


# ---- clients ----

class Load:
    """One run of server_load."""

    def __init__(self, bench, what, port, *arguments):
        self.process = launch([bench.load, what, port, *arguments], stdout=subprocess.PIPE, text=True)

    def result(self):
        line = self.process.stdout.read().splitlines()
        end(self.process)
        if self.process.returncode != 0:
            sys.exit(f"bench server: server_load ended with {self.process.returncode}")
        return json.loads(line[-1])


class Watcher:
    """Looks at a server's memory every second while load runs."""

    def __init__(self, pid):
        self.pid, self.samples, self.over = pid, [], threading.Event()
        self.start, self.cpu_start = time.monotonic(), cpu_s(pid)
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.over.wait(1):
            self.samples.append((time.monotonic() - self.start, *memory_kib(self.pid)))

    def end(self):
        self.cores = (cpu_s(self.pid) - self.cpu_start) / (time.monotonic() - self.start)
        self.over.set()
        self.thread.join()

    def most_mib(self):
        return round(max((rss for _, rss, _ in self.samples), default=0) / 1024)

    def slope_mib_per_minute(self):
        """By least squares over the last two thirds."""
        samples = self.samples[len(self.samples) // 3:]
        if len(samples) < 3:
            return 0.0
        times, sizes = [t for t, _, _ in samples], [pss for _, _, pss in samples]
        middle, mean = statistics.fmean(times), statistics.fmean(sizes)
        spread = sum((t - middle) ** 2 for t in times)
        rise = sum((t - middle) * (s - mean) for t, s in zip(times, sizes)) / spread
        return round(rise * 60 / 1024, 1)


# ---- the figures ----

def peer_python():
    """Its Python, and its environment; None when it cannot be run here."""
    told = subprocess.run([sys.executable, FETCH, "--path", "peer"], capture_output=True, text=True)
    own = f"{sys.version_info.major}.{sys.version_info.minor}" == PEER_PYTHON
    python = sys.executable if own else shutil.which(f"python{PEER_PYTHON}")
    if told.returncode != 0 or python is None:
        return None, None
    folders = [f for f in glob.glob(os.path.join(told.stdout.strip(), "*")) if os.path.islink(f)]
    return python, {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONNOUSERSITE": "1",
                    "PYTHONDONTWRITEBYTECODE": "1"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def peer_frames_per_cpu_s(bench, seconds):
    python, environment = peer_python()
    if python is None:
        return None
    port = free_port()
    process = launch([python, os.path.join(HERE, "server_peer.py"), port], env=environment,
                     stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError):
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
            break
        if time.monotonic() > deadline or process.poll() is not None:
            end(process)
            return None
        time.sleep(0.1)
    before = cpu_s(process.pid)
    told = Load(bench, "flood", port, 8, 2, seconds, "text", *bench.small).result()
    used = cpu_s(process.pid) - before
    end(process)
    return told["acked"] / used


def jpeg_frames_per_cpu_s(bench, seconds):
    out = subprocess.run([bench.jpeg, str(seconds), *bench.small], check=True, capture_output=True)
    return json.loads(out.stdout)["frames_per_cpu_s"]


def ours(bench, seconds, mode, clients, *arguments):
    """(frames judged per CPU second, the share of them looked at, dropped, judged)."""
    with Server(bench, *arguments) as server:
        before, used = Frames(server.metrics()), cpu_s(server.pid)
        Load(bench, "push", server.port, clients, 25, seconds, mode, *bench.small).result()
        time.sleep(1.5)  # counters come once a second
        used = cpu_s(server.pid) - used
        now = Frames(server.metrics()).since(before)
    return now.judged() / used, now.encoded / max(now.judged(), 1), now.dropped, now.judged()


def ingest(bench):
    """To the gate: a gate that lets nothing pass, so that what lies behind it costs nothing; and the
    same as it is by default, where a frame that passes is decoded again in full and looked at."""
    seconds = min(bench.seconds, 10)
    closed = ("--gate-mse", 1, "--gate-max-gap", 3600)
    runs = {name: [] for name in ("peer", "jpeg", "text", "binary", "looked")}
    shares, drops, frames = [], dict.fromkeys(runs, 0), dict.fromkeys(runs, 0)
    for _ in range(bench.rounds):
        runs["jpeg"].append(jpeg_frames_per_cpu_s(bench, 2))
        runs["peer"].append(peer_frames_per_cpu_s(bench, min(seconds, 10)))
        for name, mode, arguments in (("text", "text", closed), ("binary", "binary", closed),
                                      ("looked", "text", ())):
            rate, share, dropped, judged = ours(bench, seconds, mode, bench.ingest_clients, *arguments)
            runs[name].append(rate)
            drops[name] += int(dropped)
            frames[name] += int(judged)
            if name == "looked":
                shares.append(share)
    jpeg = statistics.median(runs["jpeg"])
    rates = {name: statistics.median(values) for name, values in runs.items() if None not in values}
    peer = rates.get("peer")
    common = {"picture": "640x360", "turbojpeg_per_cpu_s": round(jpeg),
              "peer_per_cpu_s": round(peer) if peer else "there is no Python " + PEER_PYTHON}
    for name, form, what in (("text", "base64", "to the gate"), ("binary", "binary", "to the gate"),
                             ("looked", "base64", "gate as by default, stub looks")):
        rate = rates[name]
        extra = {"share_looked_at": round(statistics.median(shares), 2)} if name == "looked" else {}
        emit("ingest", form=form, measured=what, per_cpu_s=round(rate), **extra, frames=frames[name],
             dropped=drops[name], **common)
        if name == "text":
            if peer:
                emit("ingest against the peer", rate >= 4 * peer, 4, ratio=round(rate / peer, 2),
                     turbojpeg_against_peer=round(jpeg / peer, 2))
            emit("ingest against TurboJPEG alone", rate >= 0.75 * jpeg, 0.75,
                 ratio=round(rate / jpeg, 2))


def streams(bench):
    with Server(bench, *BATCHES) as server:
        watcher = Watcher(server.pid)
        before = Frames(server.metrics())
        told = Load(bench, "push", server.port, 100, 2, bench.seconds, "binary", *bench.large).result()
        time.sleep(1.5)
        watcher.end()
        now = Frames(server.metrics()).since(before)
        share = now.share_within(GATE_MS)
        emit("100 streams x 2 frames/s x 720p", share >= 0.99 and watcher.cores <= 1.2 and now.exact(),
             "p99 <= 40 ms, <= 1.2 cores, identity exact", seconds=bench.seconds,
             gate_p99_ms_at_most=now.percentile_ms(0.99), within_40_ms=round(share, 4),
             cores=round(watcher.cores, 2), identity_exact=now.exact(), frames=int(now.received),
             encoded=int(now.encoded), gated=int(now.gated), dropped=int(now.dropped),
             streams_stalled=told["stalled"], rss_mib=watcher.most_mib(), errors=told["errors"],
             lost=told["lost"])


def queues(server):
    return sum(one["counters"]["queued"] for one in server.streams() if one["state"] != "ended")


def overload(bench):
    with Server(bench, *BATCHES) as server:
        watcher = Watcher(server.pid)
        before = Frames(server.metrics())
        health = Load(bench, "health", server.port, 20, bench.seconds)
        told = Load(bench, "push", server.port, 300, 2, bench.seconds, "binary", *bench.large).result()
        ended = time.monotonic()
        asked = health.result()
        watcher.end()
        while Frames(server.metrics()).queued > 0 and time.monotonic() < ended + 30:
            time.sleep(0.2)
        empty_s = time.monotonic() - ended + 1  # the load itself waits for one second
        time.sleep(max(0.0, 5 - empty_s))
        now = Frames(server.metrics()).since(before)
        calm = Frames(server.metrics())
        Load(bench, "push", server.port, 10, 2, 5, "binary", *bench.large).result()
        time.sleep(1.5)
        calm = Frames(server.metrics()).since(calm)
        normal = empty_s <= 5 and calm.share_within(GATE_MS) >= 0.99 and calm.dropped == 0
        slope = watcher.slope_mib_per_minute()
        emit("300 streams x 2 frames/s x 720p", watcher.most_mib() <= 1500 and asked["p99_ms"] <= 50
             and now.exact() and told["stalled"] == 0 and normal,
             "RSS <= 1.5 GB and flat, healthz p99 <= 50 ms, identity exact, no stream stalled, normal "
             "in 5 s", seconds=bench.seconds, rss_mib=watcher.most_mib(), slope_mib_per_minute=slope,
             healthz_p99_ms=asked["p99_ms"], healthz_max_ms=asked["max_ms"], frames=int(now.received),
             encoded=int(now.encoded), gated=int(now.gated), dropped=int(now.dropped),
             identity_exact=now.exact(), cores=round(watcher.cores, 2),
             streams_stalled=told["stalled"], queues_empty_after_s=round(empty_s, 1),
             calm_within_40_ms=round(calm.share_within(GATE_MS), 4), calm_dropped=int(calm.dropped),
             sent=told["sent"], left_out_by_client=told["late"], errors=told["errors"],
             lost=told["lost"])


def idle(bench):
    count, seconds = 5000, max(bench.seconds, 20)
    with Server(bench, "--connections-max", 8192) as server:
        _, before = memory_kib(server.pid)
        load = Load(bench, "idle", server.port, count, seconds)
        load.process.stdout.readline()  # all are there
        time.sleep(1)
        used, start = cpu_s(server.pid), time.monotonic()
        time.sleep(seconds - 3)
        share = (cpu_s(server.pid) - used) / (time.monotonic() - start)
        _, after = memory_kib(server.pid)
        told = load.result()
    each = (after - before) / count
    emit("5,000 idle WebSockets", each <= 24 and share < 0.03, "<= 24 KiB each, < 3 % of a core",
         kib_each=round(each, 1), cpu_percent=round(100 * share, 2), lost=told["lost"])


def readers(bench):
    seconds = min(bench.seconds, 60)
    with Server(bench) as server:
        used, start = cpu_s(server.pid), time.monotonic()
        told = Load(bench, "read", server.port, 950, 200, 50, 5, seconds, bench.small[0]).result()
        share = (cpu_s(server.pid) - used) / (time.monotonic() - start)
    emit("1,000 SSE + 200 WebSocket readers x 5 events/s, 50 of them never read",
         told["p99_ms"] <= 100 and told["samples"] > 0, "p99 <= 100 ms", p50_ms=told["p50_ms"],
         p99_ms=told["p99_ms"], max_ms=told["max_ms"], deliveries=told["captions"],
         expected=1150 * told["sent"], cores=round(share, 2), lost=told["lost"])


def commits(bench):
    """As bench/store.py measures them, for a hundred streams."""
    program = os.path.join(bench.build, "bench", "store_bench")
    rates = []
    for _ in range(bench.rounds):
        path = os.path.join(bench.folder, "commits.db")
        out = subprocess.run([program, "commits", path, "100", "3"], check=True, capture_output=True)
        rates.append(json.loads(out.stdout)["per_second"])
        for one in glob.glob(path + "*"):
            os.remove(one)
    rate = statistics.median(rates)
    emit("caption commits with synchronous FULL, 100 streams", rate >= 3000, 3000, per_second=rate)


WRK_SCRIPT = """
local n = 0
function request()
  n = n + 1
  return wrk.format("GET", n % 2 == 0 and "/healthz" or "/metrics")
end
function done(summary, latency)
  local e = summary.errors
  print(string.format("RESULT %d %d %d", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def requests(bench):
    wrk = shutil.which("wrk")
    if wrk is None:
        emit("/metrics and /healthz by wrk", False, 20000, reason="there is no wrk")
        return
    script = os.path.join(bench.folder, "wrk.lua")
    with open(script, "w", encoding="ascii") as file:
        file.write(WRK_SCRIPT)
    rates, costs, errors = [], [], 0
    with Server(bench) as server:
        for _ in range(bench.rounds):
            used = cpu_s(server.pid)
            out = subprocess.run([wrk, "-t1", "-c32", "-d5s", "-s", script,
                                  f"http://127.0.0.1:{server.port}/"], check=True,
                                 capture_output=True, text=True).stdout
            used = cpu_s(server.pid) - used
            count, took_us, failed = map(int, re.search(r"RESULT (\d+) (\d+) (\d+)", out).groups())
            rates.append(count / took_us * 1e6)
            costs.append(count / used)
            errors += failed
    emit("/metrics and /healthz by wrk", statistics.median(rates) >= 20000, 20000,
         per_second=round(statistics.median(rates)),
         per_cpu_s_of_the_server=round(statistics.median(costs)), errors=errors)


FIGURES = {f.__name__: f for f in (ingest, streams, overload, idle, readers, commits, requests)}


# ---- the run ----

class Bench:
    def __init__(self, options, folder):
        self.build, self.folder = os.path.abspath(options.build), folder
        self.seconds = 300 if options.long else options.seconds
        self.rounds, self.ingest_clients = options.rounds, options.ingest_clients
        self.program = os.path.join(self.build, "manako")
        self.load = os.path.join(self.build, "bench", "server_load")
        self.jpeg = os.path.join(self.build, "bench", "jpeg_bench")
        video = subprocess.run([sys.executable, FETCH, "--path", "sample"], check=True,
                               capture_output=True, text=True).stdout.strip()
        self.small = self.pictures(video, "640:360", "small")
        self.large = self.pictures(video, "1280:720", "large")

    def pictures(self, video, size, name):
        at = os.path.join(self.folder, name)
        os.mkdir(at)
        subprocess.run(["ffmpeg", "-v", "error", "-i", video, "-vf", f"scale={size}", "-q:v", "4",
                        "-frames:v", "250", os.path.join(at, "%03d.jpg")], check=True)
        return sorted(glob.glob(os.path.join(at, "*.jpg")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("build", nargs="?", default="build")
    parser.add_argument("--seconds", type=int, default=20, help="of each load (default: 20)")
    parser.add_argument("--long", action="store_true", help="five minutes of each load")
    parser.add_argument("--rounds", type=int, default=3, help="of what has a median (default: 3)")
    parser.add_argument("--ingest-clients", type=int, default=16, help="of 25 frames/s each")
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="manako-bench-") as folder:
        bench = Bench(options, folder)
        try:
            for name in options.only:
                FIGURES[name](bench)
        finally:
            end_all()


if __name__ == "__main__":
    main()
