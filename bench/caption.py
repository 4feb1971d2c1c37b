#!/usr/bin/env python3
"""Measures `manako caption` as a whole and prints JSON lines.

  speed      times real time on a 720p25 H.264 file with sound, and the CPU that decoding takes next
             to ffmpeg's on the same file, by turns
  start      from starting the program to its first line, with and without compiled models
  memory     server and worker together, sampled while a file is captioned again and again
  intervals  caption intervals against clips whose boundaries are known (tools/make_scenes.py)

Timings are medians of --runs. Needs ffmpeg and what `tools/fetch.py --bench` fetches."""
import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The shots of the clip for "speed": file, where it begins, seconds. 75 s with the calm and the
# lively, few and many people, street, animation and photographs.
SHOTS = [("bikes.mp4", 0, 10), ("astronaut.png", 0, 5), ("vtest.avi", 0, 20), ("coffee.png", 0, 5),
         ("bigbuckbunny.mp4", 0, 5), ("chelsea.png", 0, 5), ("vtest.avi", 40, 15), ("motorcycle_left.png", 0, 5),
         ("rocket.jpg", 0, 5)]
FILL = "scale={0}:{1}:force_original_aspect_ratio=increase,crop={0}:{1},setsar=1"
ZOOM = "zoompan=z='1+0.001*on':d=1:x='iw/2-iw/zoom/2':y='ih/2-ih/zoom/2':s=1280x720:fps=25"
# No models; shot boundaries need each picture, so that as much is decoded as with everything on.
SIGHTLESS = ["--no-" + part for part in ("scenes", "objects", "faces", "pose", "text")]


def tell(what, **figures):
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"bench": "caption", "what": what, **rounded}), flush=True)


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True)


def fetched(name):
    return pathlib.Path(subprocess.run([sys.executable, ROOT / "tools/fetch.py", "--path", name], check=True,
                                       capture_output=True, text=True).stdout.strip())


# ---- clips ----

def find_material():
    found = {}
    for folder in (fetched("testdata"), fetched("sample").parent):
        for path in sorted(folder.rglob("*.*")):
            found.setdefault(path.name, path)
    missing = {name for name, _, _ in SHOTS} - found.keys()
    if missing:
        sys.exit(f"bench/caption: {', '.join(sorted(missing))} not there; run tools/fetch.py --bench")
    return found


def make_clip(folder, gop):
    """720p25 H.264 with AAC sound, x264's usual settings, a key frame each GOP frames at least."""
    clip = folder / f"street-gop{gop}.mp4"
    if clip.exists():
        return clip
    material = find_material()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        parts = pathlib.Path(scratch) / "parts.txt"
        for number, (name, start, length) in enumerate(SHOTS):
            still = material[name].suffix in (".png", ".jpg")
            filters = FILL.format(2560, 1440) + "," + ZOOM if still else FILL.format(1280, 720) + ",fps=25"
            source = ["-loop", 1, "-framerate", 25] if still else ["-ss", start]
            ffmpeg(*source, "-t", length, "-i", material[name], "-an", "-vf", filters + ",format=yuv420p",
                   "-c:v", "libx264", "-preset", "ultrafast", "-qp", 10, parts.with_name(f"{number}.mp4"))
        parts.write_text("".join(f"file {number}.mp4\n" for number in range(len(SHOTS))))
        made = parts.with_name("made.mp4")
        ffmpeg("-f", "concat", "-i", parts, "-stream_loop", -1, "-i", material["bigbuckbunny.mp4"],
               "-map", "0:v", "-map", "1:a", "-shortest", "-c:v", "libx264", "-g", gop, "-c:a", "aac", "-ac", 2, made)
        made.rename(clip)
    return clip


def seconds_of(clip):
    return float(subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", clip],
                                check=True, capture_output=True, text=True).stdout)


# ---- running programs ----

def children(pid):
    try:
        return [int(c) for c in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def codec_threads_cpu(pid):
    """CPU seconds so far of libav's own threads, by thread: they have the name of the thread that
    opened the decoder, the first of that name, whose own time --stats tells."""
    cpu = {}
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        try:
            if (task / "comm").read_text().strip() == "reader":
                cpu[int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            continue
    return {thread: seconds for thread, seconds in cpu.items() if thread != min(cpu)}


def memory_kib(pid):
    """Proportional and resident size; nothing of a process that is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0, 0
    return tuple(int(re.search(rf"^{key}:\s+(\d+)", text, re.M)[1]) for key in ("Pss", "Rss"))


class Sampler(threading.Thread):
    """Calls look(pid of the server) again and again until the program ends."""

    def __init__(self, pid, every_s, look):
        super().__init__(daemon=True)
        self.pid, self.every_s, self.look = pid, every_s, look
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(self.every_s):
            self.look(self.pid)

    def stop(self):
        self.over.set()
        self.join()


def measured(command, look=None, every_s=0.02, environment=None):
    """Runs a program; wall, user and system seconds, time to the first line, and all it wrote."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors, env={**os.environ, **(environment or {})}, text=True)
        sampler = Sampler(process.pid, every_s, look) if look else None
        first = process.stdout.readline()
        first_s = time.monotonic() - start
        rest = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        if sampler:
            sampler.stop()
        errors.seek(0)
        said = errors.read()
    if process.returncode != 0:
        sys.exit(f"bench/caption: {command[0]} failed: {said.strip()}")
    return {"wall": wall, "user": usage.ru_utime, "cpu": usage.ru_utime + usage.ru_stime, "first": first_s,
            "out": first + rest, "err": said}


def stats_of(run):
    return json.loads(next(line for line in run["err"].splitlines() if line.startswith('{"type":"stats"')))


# ---- speed ----

def captioned(manako, clip, *options):
    codec = {}

    def look(pid):
        for worker in children(pid):
            codec.update({(worker, thread): s for thread, s in codec_threads_cpu(worker).items()})

    run = measured([manako, "caption", "--no-db", "--stats", *options, clip], look)
    stats = stats_of(run)
    return {**run, "stats": stats, "decode": stats["decode_ms"] / 1e3 + sum(codec.values())}


def median(key, of):
    return statistics.median(run[key] for run in of)


def speed(manako, folder, runs):
    for gop in (250, 50):
        clip = make_clip(folder, gop)
        length = seconds_of(clip)
        peer = ["ffmpeg", "-v", "error", "-nostdin", "-threads", 2, "-i", clip, "-vf", "fps=1", "-f", "null", "-"]
        ours, blind, theirs, silent = [], [], [], []
        captioned(manako, clip)
        for _ in range(runs):
            ours.append(captioned(manako, clip))
            theirs.append(measured(peer))
            blind.append(captioned(manako, clip, *SIGHTLESS))
            silent.append(measured(peer[:-5] + ["-an"] + peer[-5:]))
        stats = ours[-1]["stats"]
        tell("speed", gop=gop, clip_s=length, runs=runs, times_real_time=length / median("wall", ours),
             slowest=length / max(r["wall"] for r in ours), wall_s=median("wall", ours), cpu_s=median("cpu", ours),
             look_ms_per_frame=stats["look_ms"] / max(stats["encoded"], 1), received=stats["received"],
             encoded=stats["encoded"], captions=stats["captions"], load=os.getloadavg()[0])
        tell("decoding", gop=gop, runs=runs, decode_cpu_s=median("decode", ours), without_models_cpu_s=median("cpu", blind),
             ffmpeg_user_s=median("user", theirs), ffmpeg_cpu_s=median("cpu", theirs), ffmpeg_an_user_s=median("user", silent),
             ratio=statistics.median(o["decode"] / t["user"] for o, t in zip(ours, theirs)),
             ratio_without_sound=statistics.median(o["decode"] / t["user"] for o, t in zip(ours, silent)),
             ratio_without_models=statistics.median(b["cpu"] / t["cpu"] for b, t in zip(blind, silent)),
             without_models_wall_s=median("wall", blind), ffmpeg_wall_s=median("wall", theirs))


# ---- start ----

def cold_cache(folder):
    """A cache folder as it is after set-up, before any model was compiled."""
    own = fetched("models").parent
    for entry in own.iterdir():
        if entry.name != "compiled":
            (folder / entry.name).symlink_to(entry)
    return {"MANAKO_CACHE": str(folder)}


def start(manako, folder, runs):
    clips = {"sample": fetched("sample"), "720p25": make_clip(folder, 250), "lasting shot": find_material()["vtest.avi"]}
    for name, clip in clips.items():
        command = [manako, "caption", "--no-db", "--stats", "--to", 15, clip]
        measured(command)
        for cache in ("warm", "cold"):
            taken = []
            for _ in range(runs):
                with tempfile.TemporaryDirectory() as scratch:
                    environment = cold_cache(pathlib.Path(scratch)) if cache == "cold" else None
                    taken.append(measured(command, environment=environment))
            tell("first caption", clip=name, compiled_models=cache, runs=runs,
                 first_line_s=statistics.median(r["first"] for r in taken), slowest_s=max(r["first"] for r in taken),
                 first_caption_s=statistics.median(stats_of(r)["first_caption_s"] for r in taken),
                 load=os.getloadavg()[0])


# ---- memory ----

def slope(points):
    """Least squares of y over x."""
    mean_x = statistics.fmean(x for x, _ in points)
    mean_y = statistics.fmean(y for _, y in points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread > 0 else 0.0


def memory(manako, folder, wall_s, stream_s):
    """Captions the clip again and again, kept in a timeline, until either limit is reached."""
    clip = make_clip(folder, 250)
    samples = []
    reached = [0.0]

    def look(pid):
        sizes = [memory_kib(p) for p in (pid, *children(pid))]
        samples.append((reached[0], *(sum(s[i] for s in sizes) / 1024 for i in (0, 1)), sizes[0][0] / 1024))

    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            [str(c) for c in (manako, "caption", "--loop", "--format", "jsonl", "--db", f"{scratch}/timeline.db", clip)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        began = time.monotonic()
        sampler = Sampler(process.pid, 0.1, look)
        for line in process.stdout:
            reached[0] = json.loads(line)["end_ms"] / 1000
            if time.monotonic() - began > wall_s or reached[0] > stream_s:
                break
        sampler.stop()
        wall = time.monotonic() - began
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        process.wait()
    settled = [(s[0] / 3600, s[1]) for s in samples if s[0] > reached[0] / 5]
    halves = [statistics.median(y for _, y in part) for part in (settled[:len(settled) // 2], settled[len(settled) // 2:])]
    tell("memory", stream_s=reached[0], wall_s=wall, times_real_time=reached[0] / wall, samples=len(samples),
         peak_pss_mib=max(s[1] for s in samples), peak_rss_mib=max(s[2] for s in samples),
         server_pss_mib=max(s[3] for s in samples), median_pss_mib=statistics.median(y for _, y in settled),
         first_half_mib=halves[0], second_half_mib=halves[1], slope_mib_per_stream_hour=slope(settled))


# ---- intervals ----

def overlap(a, b):
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return max(shared, 0) / (max(a[1], b[1]) - min(a[0], b[0]))


def judge(truth, captions):
    """Each true shot's best overlap, by kind, and the distances of the hard cuts in ms. A soft
    boundary counts at its middle; a shot is soft when one of its ends is."""
    end = truth["frames"] * 1000 / truth["fps"]
    edges = [(0, "hard"), *(((b["start_ms"] + b["end_ms"]) / 2, b["kind"]) for b in truth["boundaries"]), (end, "hard")]
    overlaps = {"hard": [], "soft": []}
    for (start_ms, one), (end_ms, other) in zip(edges, edges[1:]):
        best = max(overlap((start_ms, end_ms), c) for c in captions)
        overlaps["soft" if "soft" in (one, other) else "hard"].append(best)
    told = {at for caption in captions for at in caption}
    errors = [min(abs(at - t) for t in told) for at, kind in edges[1:-1] if kind == "hard"]
    return overlaps, errors, len(captions) - len(edges) + 1


def intervals(manako, _folder, _runs):
    scenes = fetched("testdata") / "scenes"
    if not any(scenes.glob("*.json")):
        subprocess.run([sys.executable, ROOT / "tools/make_scenes.py"], check=True)
    for split in ("choosing", "held-out"):
        overlaps, errors, surplus, clips = {"hard": [], "soft": []}, [], 0, 0
        for path in sorted(scenes.glob("*.json")):
            truth = json.loads(path.read_text())
            if truth["split"] != split or not truth["boundaries"]:
                continue
            # Only shot boundaries close a caption so.
            run = measured([manako, "caption", "--no-db", "--format", "jsonl", "--caption-max", 3600, "--caption-min", 600,
                            path.with_name(truth["clip"])])
            captions = [(c["start_ms"], c["end_ms"]) for c in map(json.loads, run["out"].splitlines())]
            of_clip, off, more = judge(truth, captions)
            for kind, values in of_clip.items():
                overlaps[kind] += values
            errors, surplus, clips = errors + off, surplus + more, clips + 1
            tell("intervals of a clip", clip=truth["clip"], hard=[round(v, 3) for v in of_clip["hard"]],
                 soft=[round(v, 3) for v in of_clip["soft"]], hard_cuts_off_ms=[round(e) for e in off], surplus=more)
        tell("intervals", split=split, clips=clips, hard_shots=len(overlaps["hard"]), soft_shots=len(overlaps["soft"]),
             hard_iou=statistics.fmean(overlaps["hard"]), soft_iou=statistics.fmean(overlaps["soft"]),
             hard_cuts=len(errors), worst_hard_cut_off_frames=max(errors) / 1000,
             hard_cuts_off_by_more_than_one=sum(e > 1000 for e in errors), surplus=surplus)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="build folder")
    parser.add_argument("--part", action="append", choices=["speed", "start", "memory", "intervals"],
                        help="only this part; may be given again")
    parser.add_argument("--runs", type=int, default=5, help="runs for a median (default 5)")
    parser.add_argument("--minutes", type=float, default=3, help="wall time of the memory run (default 3)")
    parser.add_argument("--long", action="store_true", help="memory over two hours of stream time")
    options = parser.parse_args()
    manako = options.build / "manako"
    folder = options.build / "bench" / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    parts = options.part or ["speed", "start", "memory", "intervals"]
    if "speed" in parts:
        speed(manako, folder, options.runs)
    if "start" in parts:
        start(manako, folder, options.runs)
    if "memory" in parts:
        limits = (float("inf"), 7200) if options.long else (60 * options.minutes, float("inf"))
        memory(manako, folder, *limits)
    if "intervals" in parts:
        intervals(manako, folder, options.runs)


if __name__ == "__main__":
    main()
