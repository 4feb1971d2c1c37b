"""The ask command and its settings. The colour model of the tiny models answers truly, so that the
whole chain from pictures to words is told by its answer."""
import json
import os
import pathlib
import re
import signal
import time

from tap import Case, Skip, contains, equal, main

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE.parent / "data" / "prototype-config.yaml"
MODELS = pathlib.Path(os.environ.get("MANAKO_TINY_MODELS", "/nonexistent"))


def shown(text):
    """name to (value as written, origin) of what --show-config prints; comments without a value are left out."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"(#? ?)(\w+): *(.*?) +# (.*)$", line):
            found[match[2]] = (match[1] == "", match[3].strip('"'), match[4])
    return found


def config_of(case, *arguments, **env):
    case.env.update(env)
    result = case.run("ask", "--show-config", *arguments)
    equal(result.status, 0, result.err)
    return result.out


def model(family):
    if not (MODELS / family / "model.gguf").exists():
        raise Skip("the tiny models are not there")
    return MODELS / family


# ---- settings ----

def test_the_prototype_s_file_is_read_as_it_is(case: Case):
    values = shown(config_of(case, "--config", str(CONFIG)))
    expected = {"fps": ("1", 2), "clip_len": ("4", 3), "topk": ("8", 6), "router_strategy": ("cos_sim_fine", 7),
                "key_frame_buffer_size": ("5", 10), "key_frame_match_ratio": ("0.5", 11)}
    for name, (value, line) in expected.items():
        equal(values[name], (True, value, f"{CONFIG}:{line}"), name)
    equal(values["max_frame_set_num"], (True, "0", "default"))


def test_each_of_its_keys_takes_another_value(case: Case):
    text = CONFIG.read_text() + "max_frame_set_num: 3\n"
    for old, new in (("sample_fps: 1", "sample_fps: 2.5"), ("clip_len: 4", "clip_len: 8"), ("topk: 8", "topk: 3"),
                     ('"cos_sim_fine"', '"cross-attn"'), ("buffer_size: 5", "buffer_size: 7"), ("ratio: 0.5", "ratio: 0.25")):
        assert old in text, old
        text = text.replace(old, new, 1)
    pathlib.Path(case.path("config.yaml")).write_text(text)
    values = shown(config_of(case))  # config.yaml of the current folder
    for name, value in (("fps", "2.5"), ("clip_len", "8"), ("topk", "3"), ("router_strategy", "cross-attn"),
                        ("key_frame_buffer_size", "7"), ("key_frame_match_ratio", "0.25"), ("max_frame_set_num", "3")):
        equal(values[name][1], value, name)
        contains(values[name][2], "config.yaml:")


def test_flag_environment_file_default(case: Case):
    values = shown(config_of(case, "--config", str(CONFIG), "--sample_fps", "3", MANAKO_TOPK="5"))
    equal(values["fps"], (True, "3", "command line"))
    equal(values["topk"], (True, "5", "MANAKO_TOPK"))
    equal(values["clip_len"][2], f"{CONFIG}:3")
    equal(values["recent_frames"], (True, "4", "default"))


def test_what_is_shown_is_a_file_that_says_the_same(case: Case):
    odd = 'C:\\models "new"; # café 眼: yes'
    first = config_of(case, "--config", str(CONFIG), "--model", odd, "--token-memory", "off", "--source-timeout", "1:30",
                      "--no-scenes")
    again = pathlib.Path(case.path("again.yaml"))
    again.write_text(first)
    second = config_of(case, "--config", str(again))
    kept = {name: value for name, (in_file, value, _) in shown(first).items() if in_file}
    equal({name: value for name, (in_file, value, _) in shown(second).items() if in_file}, kept)
    assert len(kept) > 60, len(kept)
    equal(kept["token_memory"], "off")
    equal(kept["source_timeout"], "1:30")
    equal(kept["scenes"], "false")
    try:
        import yaml
    except ImportError:
        return
    parsed = yaml.safe_load(first)
    equal(parsed["model"], odd)
    equal(parsed["token_memory"], "off", "not the boolean")
    equal(parsed["router_strategy"], "cos_sim_fine")
    equal((parsed["topk"], parsed["key_frame_match_ratio"], parsed["scenes"]), (8, 0.5, False))


def test_secrets_are_not_shown(case: Case):
    out = config_of(case, GEMINI_API_KEY="AIzaSecret")
    assert "AIzaSecret" not in out, out
    contains(out, "GEMINI_API_KEY, not shown")


# ---- questions without a model ----

def test_a_bare_question_needs_nothing(case: Case):
    result = case.run("ask", case.clip("three.mp4"), "--prompt", "When is there a strawberry?")
    equal(result.status, 0, result.err)
    contains(result.out, "0:00", "0:04")
    contains(result.err, "caption", "timeline")
    assert not (case.folder / "data").exists(), "nothing stays"
    result = case.run("ask", "--video_file", case.path("three.mp4"), "--prompt", "Is there a zeppelin?")
    equal(result.status, 0, result.err)
    contains(result.out.lower(), "model")


def test_one_line_of_json(case: Case):
    result = case.run("ask", case.clip("three.mp4"), "--prompt", "strawberry", "--json")
    equal(result.status, 0, result.err)
    equal(result.err, "")
    answer = json.loads(result.out)
    equal((answer["backend"], answer["model"], answer["router"], answer["stream"]), ("timeline", "", "", "three"))
    equal(answer["question"], "strawberry")
    first = answer["evidence"][0]
    equal((first["start_ms"], first["end_ms"], first["why"]), (0, 4000, "caption"))
    equal(len(result.out.splitlines()), 1)


def test_statistics(case: Case):
    result = case.run("ask", case.clip("three.mp4"), "--prompt", "strawberry", "--json", "--stats")
    stats = json.loads(result.err.splitlines()[-1])
    equal((stats["type"], stats["stream"], stats["asked"], stats["answered"], stats["failed"]), ("stats", "three", 1, 1, 0))
    equal(stats["received"], 12)
    assert "local" not in stats, stats


def test_a_timeline_that_stays(case: Case):
    result = case.run("ask", case.clip("three.mp4"), "--prompt", "strawberry", "--db", case.path("kept.db"), "--stream", "mine")
    equal(result.status, 0, result.err)
    captions = case.run("captions", "mine", "--db", case.path("kept.db"), "--format", "jsonl").captions()
    equal(len(captions), 3)


def test_a_talk(case: Case):
    questions = pathlib.Path(case.path("questions"))
    questions.write_text("\n  \nWhen is there broccoli?\n" + "x" * 20000 + "\nAnd the seashore?")
    with open(questions) as stdin:
        result = case.run("ask", case.clip("three.mp4"), "--prompt", "strawberry", "--chat", "--json", stdin=stdin)
    equal(result.status, 0, result.err)
    answers = [json.loads(line) for line in result.out.splitlines()]
    equal([a["question"] for a in answers], ["strawberry", "When is there broccoli?", "And the seashore?"])
    equal([a["evidence"][0]["start_ms"] for a in answers[:2]], [0, 4000])
    contains(result.err, "manako: ")  # the one that is too long ends nothing


def test_a_talk_without_a_first_question(case: Case):
    questions = pathlib.Path(case.path("questions"))
    questions.write_text("strawberry\n")
    with open(questions) as stdin:
        result = case.run("ask", case.clip("three.mp4"), "--chat", "--json", stdin=stdin)
    equal((result.status, len(result.out.splitlines())), (0, 1), result.err)


def test_ctrl_c_asks_about_what_was_seen(case: Case):
    clip = case.clip("long.mp4", colours=("red", "green"), seconds=60)
    process = case.start("ask", clip, "--prompt", "strawberry", "--json", "--fps", "60", "--caption-max", "1",
                         "--gate-mse", "0", "--log-level", "info")
    deadline = time.monotonic() + 60
    seen = ""
    while "event=opened" not in seen and time.monotonic() < deadline:
        seen += process.stderr.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    # on a fast machine all of it was seen, on a slow one nothing was yet
    assert process.returncode in (0, 5), (process.returncode, err)
    if process.returncode == 0:
        equal(json.loads(out)["backend"], "timeline")


def test_terminated(case: Case):
    clip = case.clip("long.mp4", colours=("red",), seconds=60)
    process = case.start("ask", clip, "--prompt", "strawberry", "--chat", stdin=-1)  # waits for the next question
    line = process.stdout.readline()
    assert line, "an answer"
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)  # its standard input stays open: an end of it would be an end, too
    equal(process.returncode, 130)


# ---- what is wrong ----

def test_faults_have_their_codes(case: Case):
    clip = case.clip("three.mp4")
    pathlib.Path(case.path("empty.mp4")).write_bytes(b"")
    pathlib.Path(case.path("words.mp4")).write_text("no video")
    pathlib.Path(case.path("folder")).mkdir()
    for status, arguments, words in (
            (2, [clip], "--prompt"),
            (2, ["--prompt", "x"], "source"),
            (2, [clip, "--prompt", ""], "question"),
            (2, [clip, "--video-file", clip, "--prompt", "x"], "twice"),
            (2, ["-", "--chat"], "standard input"),
            (2, [clip, "--prompt", "x", "--topk", "-1"], "topk"),
            (7, [clip, "--prompt", "x" * 10000, "--question-max", "4KiB"], "question"),
            (4, ["nothing.mp4", "--prompt", "x"], "nothing.mp4"),
            (5, ["empty.mp4", "--prompt", "x"], "empty"),
            (5, ["words.mp4", "--prompt", "x"], "words.mp4"),
            (3, [clip, "--prompt", "x", "--backend", "local"], "--model-path"),
            (3, [clip, "--prompt", "x", "--config", "bad.yaml"], "clip_len"),
            (4, [clip, "--prompt", "x", "--model-path", "nothing.gguf"], "nothing.gguf")):
        pathlib.Path(case.path("bad.yaml")).write_text("clip_len: many\n")
        result = case.run("ask", *arguments)
        equal(result.status, status, (arguments, result.err))
        contains(result.err, words)
        equal(result.out, "", arguments)
        equal(len(result.err.splitlines()), 1, result.err)


def test_a_question_that_is_no_text(case: Case):
    result = case.run("ask", case.clip("three.mp4"), "--prompt", b"\xff\xfe".decode("utf-8", "surrogateescape"))
    equal(result.status, 5, result.err)


# ---- with the colour model ----

def test_the_colour_model_answers(case: Case):
    folder = model("colour")
    for colour in ("red", "blue"):
        clip = case.clip(f"{colour}.mp4", colours=(colour,))
        result = case.run("ask", clip, "--prompt", "what colour is the scene", "--model_path", folder, "--temperature", "0")
        equal(result.status, 0, result.err)
        contains(result.out, colour)
        contains(result.err, "local")


def test_the_colour_model_is_routed(case: Case):
    folder = model("colour")
    clip = case.clip("four.mp4", colours=("red", "green", "blue", "yellow", "white", "black"))
    result = case.run("ask", clip, "--prompt", "green", "--model_path", folder, "--model", "Qwen2_5VL_7B", "--json", "--stats",
                      "--topk", "1", "--recent-frames", "1", "--key-frame-buffer-size", "1", "--history", "always",
                      "--temperature", "0")
    equal(result.status, 0, result.err)
    answer = json.loads(result.out)
    equal((answer["backend"], answer["router"], answer["history"]), ("local", "cos_sim_fine", True))
    chosen = [e for e in answer["evidence"] if e["why"] == "chosen"]
    assert chosen and all(4000 <= e["start_ms"] <= e["end_ms"] <= 8000 for e in chosen), answer["evidence"]
    assert all(c["score"] > e["score"] for c in chosen for e in answer["evidence"] if e not in chosen), answer["evidence"]
    contains(answer["text"], "the scene is")
    stats = json.loads(result.err.splitlines()[-1])
    equal(stats["local"]["frames"], stats["local"]["encoded"] + stats["local"]["left_out"])
    assert stats["local"]["encoded"] >= 6 and stats["local"]["questions"] == 1, stats
    for stage in ("encode_ms", "remember_ms", "route_ms", "prompt_ms", "answer_ms"):
        assert stats["local"][stage] > 0, (stage, stats)


def test_a_pair_that_does_not_fit_is_not_loaded(case: Case):
    clip = case.clip("three.mp4")
    result = case.run("ask", clip, "--prompt", "x", "--model-path", model("colour") / "model.gguf",
                      "--mmproj", model("smolvlm") / "mmproj.gguf")
    equal(result.status, 3, result.err)
    contains(result.err, "projector")


# ---- captions by the same model ----

def test_captions_by_a_local_model(case: Case):
    clip = case.clip("red.mp4", colours=("red",), seconds=4)
    result = case.run("caption", clip, "--no-db", "--format", "jsonl", "--model-path", str(model("colour")))
    equal(result.status, 0, result.err)
    captions = [c for c in map(json.loads, result.out.splitlines()) if c["final"]]
    equal([(c["backend"], c["text"]) for c in captions], [("local", "the scene is red")], result.out)
    equal(captions[0]["start_ms"], 0)


def test_a_file_waits_for_the_model(case: Case):
    # a request for each frame: read many times faster than they are answered
    clip = case.clip("six.mp4", colours=("red", "green", "blue", "yellow", "white", "black"))
    result = case.run("caption", clip, "--no-db", "--format", "jsonl", "--model-path", str(model("colour")),
                      "--frame-batch-size", "1", "--gate-mse", "0")
    equal(result.status, 0, result.err)
    captions = [c for c in map(json.loads, result.out.splitlines()) if c["final"]]
    equal({c["backend"] for c in captions}, {"local"}, result.out)
    equal(captions[-1]["end_ms"], 24000)


def test_captions_without_the_model_that_is_named(case: Case):
    clip = case.clip("red.mp4", colours=("red",), seconds=2)
    for more, words in (([], "--model-path"), (["--model-path", "nowhere"], "nowhere")):
        result = case.run("caption", clip, "--no-db", "--backend", "local", *more)
        assert result.status != 0 and result.out == "", result
        contains(result.err, words)


main([value for name, value in list(globals().items()) if name.startswith("test_")])
