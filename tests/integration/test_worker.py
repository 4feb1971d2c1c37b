"""The worker dies, hangs or is stopped: the captions go on, and what was missed is told."""
import json
import os
import pathlib
import signal

from tap import TIMEOUT, Case, contains, equal, main, wait_until


def worker_of(process):
    """The process id of the worker, once it is there."""
    def find():
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            try:
                if b"worker" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    return int(child)
            except OSError:
                continue
        return None
    return wait_until("the worker", find)


def check_whole(captions, end_ms):
    """The captions and gaps lie one after the other from the start to the end."""
    at = 0
    for caption in captions:
        equal(caption["start_ms"], at, "no hole, no overlap")
        at = caption["end_ms"]
    equal(at, end_ms, "the end")


def gaps(captions):
    return [c for c in captions if c["facts"] and c["facts"][0]["kind"] == "gap"]


def test_killed_in_mid_file(case: Case):
    clip = case.clip("five.mp4", colours=("red", "green", "blue", "yellow", "red"), seconds=3)
    process = case.start("caption", clip, "--realtime", "--format", "jsonl")
    first = json.loads(process.stdout.readline())
    os.kill(worker_of(process), signal.SIGKILL)
    out, err = process.communicate(timeout=TIMEOUT)
    equal(process.returncode, 0, err)
    captions = [first] + [json.loads(line) for line in out.splitlines()]
    check_whole(captions, 15000)
    missed = gaps(captions)
    equal(len(missed), 1, captions)
    equal(missed[0]["backend"], "none")
    contains(missed[0]["facts"][0]["name"], "killed by signal 9")
    # how long it is, is how long another worker takes to start
    assert missed[0]["start_ms"] >= first["end_ms"], captions
    stored = case.run("captions", "five", "--format", "jsonl").captions()
    equal(len(stored), len(captions), "all of it is in the timeline")


def test_aborts_at_one_frame(case: Case):
    clip = case.clip("three.mp4")
    result = case.caption(clip, "--format", "jsonl", "--worker-fault", "abort@5000")
    equal(result.status, 0, result.err)
    captions = result.captions()
    check_whole(captions, 12000)
    missed = gaps(captions)
    equal(len(missed), 1)
    assert missed[0]["start_ms"] <= 5000 <= missed[0]["end_ms"] <= 7000, missed


def test_killed_again_and_again(case: Case):
    clip = case.clip("three.mp4")
    result = case.caption(clip, "--format", "jsonl", "--worker-fault", "kill-loop", "--worker-deaths", "3")
    equal(result.status, 11, result.err)
    contains(result.err, "the worker died", "is not started again")


def test_dies_with_its_server(case: Case):
    clip = case.clip("three.mp4")
    process = case.start("caption", clip, "--realtime", "--loop")
    worker = worker_of(process)
    process.kill()
    process.communicate()
    wait_until("the end of the worker with its server", lambda: not alive(worker))


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_by_hand_it_is_refused(case: Case):
    result = case.run("worker")
    equal(result.status, 2)
    contains(result.err, "started by other commands")


main([value for name, value in list(globals().items()) if name.startswith("test_")])
