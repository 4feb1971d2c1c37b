"""The caption command on files of plain colours, whose scenes and names are known."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import time

from tap import TIMEOUT, Case, contains, equal, ffmpeg, main, wait_until

NAMES = {"red": "strawberry", "green": "broccoli", "blue": "seashore", "yellow": "banana"}


def intervals(captions):
    return [(c["start_ms"], c["end_ms"]) for c in captions]


def test_scenes_of_a_file(case: Case):
    result = case.caption(case.clip("three.mp4"), "--format", "jsonl")
    equal(result.status, 0, result.err)
    captions = result.captions()
    equal(intervals(captions), [(0, 4000), (4000, 8000), (8000, 12000)], "intervals")
    for caption, colour in zip(captions, ("red", "green", "blue")):
        equal(list(caption), ["type", "stream", "id", "seq", "start_ms", "end_ms", "final", "backend", "lang", "text", "facts"])
        equal(caption["type"], "caption")
        equal(caption["stream"], "three")
        equal(caption["final"], True)
        assert any(f["name"] == NAMES[colour] for f in caption["facts"]), caption
    equal(len({c["id"] for c in captions}), 3, "different ids")
    equal(result.err, "", "nothing on standard error in a pipe")


def test_a_long_scene_is_closed_by_its_length(case: Case):
    clip = case.clip("long.mp4", colours=("red",), seconds=25)
    captions = case.caption(clip, "--format", "jsonl", "--caption-max", "10").captions()
    # the same words again only lengthen the caption that says so
    equal(captions[0]["end_ms"], 10000)
    equal(captions[-1]["end_ms"], 25000)


def test_a_dissolve_parts_in_its_middle(case: Case):
    # the frame at 5 s is mixed: it lies before the middle, and must not begin a caption of its own
    clip = case.path("dissolve.mp4")
    ffmpeg("-f", "lavfi", "-i", "color=c=red:s=320x240:r=25:d=6", "-f", "lavfi", "-i", "color=c=blue:s=320x240:r=25:d=6",
           "-filter_complex", "[0][1]xfade=duration=1.2:offset=4.6,format=yuv420p", "-c:v", "libx264", clip)
    result = case.caption(clip, "--format", "jsonl", "--caption-max", "60", "--caption-min", "60")
    (start, middle), (again, end) = intervals(result.captions())
    equal((start, middle), (0, again), "one after the other")
    assert abs(middle - 5200) <= 200, middle
    equal(end, 10600, "the end of the file, not of the last second")


def test_formats(case: Case):
    clip = case.clip("three.mp4")
    text = case.caption(clip).out
    equal(len(text.splitlines()), 3, text)
    contains(text, "[0:00 - 0:04]", "[0:08 - 0:12]", "strawberr")
    vtt = case.caption(clip, "--format", "vtt").out
    contains(vtt, "WEBVTT", "00:00:04.000 --> 00:00:08.000")
    srt = case.caption(clip, "--format", "srt").out
    contains(srt, "1\n00:00:00,000 --> 00:00:04,000", "3\n00:00:08,000 --> 00:00:12,000")


def test_japanese(case: Case):
    result = case.caption(case.clip("three.mp4"), "--lang", "ja", "--format", "jsonl")
    for caption in result.captions():
        equal(caption["lang"], "ja")
        assert re.search("[\u3040-\u30ff\u4e00-\u9fff]", caption["text"]), caption["text"]
        assert not re.search("[A-Za-z]", caption["text"]), caption["text"]


def test_a_part_of_a_file(case: Case):
    captions = case.caption(case.clip("three.mp4"), "--format", "jsonl", "--from", "5", "--to", "0:10").captions()
    equal(captions[0]["start_ms"], 5000)
    equal(captions[-1]["end_ms"], 10000)
    equal(len(captions), 2)


def test_output_file_appears_whole(case: Case):
    clip = case.clip("three.mp4")
    result = case.caption(clip, "--format", "vtt", "--output", case.path("out.vtt"))
    equal((result.status, result.out), (0, ""))
    contains(pathlib.Path(case.path("out.vtt")).read_text(), "WEBVTT")
    assert not os.path.exists(case.path("out.vtt.part"))


def test_timeline_and_search(case: Case):
    equal(case.caption(case.clip("three.mp4")).status, 0)
    captions = case.run("captions", "three", "--format", "jsonl").captions()
    equal(intervals(captions), [(0, 4000), (4000, 8000), (8000, 12000)])
    part = case.run("captions", "three", "--from", "4", "--to", "8", "--format", "jsonl").captions()
    equal(intervals(part), [(4000, 8000)])
    found = case.run("search", "strawberries", "--format", "jsonl").captions()
    equal(intervals(found), [(0, 4000)])
    contains(case.run("captions").out, "three", "3 captions")
    nothing = case.run("search", "zeppelin")
    equal(nothing.status, 4)
    contains(nothing.err, "nothing in the timeline matches")


def test_a_second_run_replaces_the_first(case: Case):
    clip = case.clip("three.mp4")
    case.caption(clip)
    case.caption(clip, "--to", "4")
    equal(len(case.run("captions", "three", "--format", "jsonl").captions()), 1)


def test_no_db_keeps_nothing(case: Case):
    equal(case.caption(case.clip("three.mp4"), "--no-db").status, 0)
    equal(case.run("captions").status, 4)
    assert not (case.folder / "data").exists()


def test_accounting(case: Case):
    result = case.caption(case.clip("three.mp4"), "--stats")
    stats = json.loads(result.err.splitlines()[-1])
    equal(stats["received"], stats["encoded"] + stats["gated"] + stats["late"] + stats["dropped"] + stats["queued"])
    equal(stats["received"], 12)
    equal(stats["queued"], 0)
    equal(stats["decoded"], 300)
    equal(stats["dropped"], 0)


def test_a_picture_is_a_source(case: Case):
    picture = case.path("blue.png")
    ffmpeg("-f", "lavfi", "-i", "color=c=blue:s=640x480", "-frames:v", "1", picture)
    captions = case.caption(picture, "--format", "jsonl").captions()
    equal(len(captions), 1)
    contains(json.dumps(captions[0]), "seashore")


def test_key_frames_are_written(case: Case):
    result = case.caption(case.clip("three.mp4"), "--keyframes", case.path("pictures"), "--format", "jsonl")
    for caption in result.captions():
        data = (case.folder / "pictures" / f"three-{caption['id']}.jpg").read_bytes()
        equal(data[:2], b"\xff\xd8", "a JPEG")


def test_standard_input(case: Case):
    clip = case.clip("three.ts")
    with open(clip, "rb") as stdin:
        result = case.caption("-", "--format", "jsonl", stdin=stdin)
    equal(result.status, 0, result.err)
    equal([c["stream"] for c in result.captions()], ["stdin"] * 3)
    end = result.captions()[-1]["end_ms"]
    assert abs(end - 12000) <= 100, end


def test_a_pipe_as_input(case: Case):
    import subprocess
    clip = case.clip("three.ts")
    with subprocess.Popen(["cat", clip], stdout=subprocess.PIPE) as cat:
        result = case.caption("-", "--format", "jsonl", stdin=cat.stdout)
    equal(result.status, 0, result.err)
    equal(len(result.captions()), 3)


def test_loop_goes_on_counting(case: Case):
    clip = case.clip("two.mp4", colours=("red", "green"), seconds=3)
    process = case.start("caption", clip, "--loop", "--format", "jsonl")
    captions = [json.loads(process.stdout.readline()) for _ in range(6)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT)
    equal(process.returncode, 130, err)
    equal([c["start_ms"] for c in captions], [0, 3000, 6000, 9000, 12000, 15000])


def test_real_time(case: Case):
    clip = case.clip("two.mp4", colours=("red", "green"), seconds=1)
    begin = time.monotonic()
    equal(case.caption(clip, "--realtime", "--fps", "5").status, 0)
    assert time.monotonic() - begin >= 1.8


def test_ctrl_c_keeps_what_was_captioned(case: Case):
    clip = case.clip("long.mp4", colours=("red", "green", "blue") * 5, seconds=4)
    process = case.start("caption", clip, "--realtime", "--format", "jsonl", "--output", case.path("out.jsonl"))
    wait_until("a caption", lambda: case.run("captions", "long", "--format", "jsonl").out)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT)
    equal(process.returncode, 130, err)
    equal(err, "", "no complaint")
    captions = [json.loads(line) for line in open(case.path("out.jsonl"))]
    assert len(captions) >= 2 and captions[0]["start_ms"] == 0 and captions[-1]["end_ms"] < 60000, captions
    stored = case.run("captions", "long", "--format", "jsonl").captions()
    equal([c["id"] for c in captions], [c["id"] for c in stored], "all of it is in the timeline")
    with sqlite3.connect(case.folder / "data/manako/timeline.db") as db:
        equal(db.execute("pragma integrity_check").fetchone()[0], "ok")


def test_closed_pipe_ends_the_program(case: Case):
    clip = case.clip("many.mp4", colours=("red", "green", "blue") * 5, seconds=3)
    process = case.start("caption", clip, "--format", "jsonl")
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    equal(process.wait(timeout=TIMEOUT), 12, err)
    contains(err, "standard output cannot be written")


def test_config_file(case: Case):
    clip = case.clip("three.mp4")
    (case.folder / "config.yaml").write_text("captions:\n  lang: ja\nfps: 2\n")
    result = case.caption(clip, "--format", "jsonl", "--stats")
    equal(result.captions()[0]["lang"], "ja")
    equal(json.loads(result.err.splitlines()[-1])["received"], 24)


main([value for name, value in list(globals().items()) if name.startswith("test_")])
