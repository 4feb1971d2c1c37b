"""`manako send`, and the prototype's client: a video goes to a server, captions come back, whatever happens between."""
import errno
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

from live import PATIENCE, Server, jpeg, wait_until
from tap import PROGRAM, TIMEOUT, Case, check_sanitizers, contains, equal, main

USAGE, NOT_FOUND, BAD_INPUT, SOURCE, OUTPUT = 2, 4, 5, 8, 12
HERE = pathlib.Path(__file__).resolve().parent


def url(server):
    return f"ws://127.0.0.1:{server.port}/ws/stream"


def stats_of(err):
    return json.loads(next(line for line in reversed(err.splitlines()) if line.startswith('{"type":"stats"')))


def check_order(captions):
    ids = [c["id"] for c in captions]
    seqs = [c["seq"] for c in captions]
    equal(seqs, sorted(set(seqs)), "nothing twice")
    for caption in captions:
        assert caption["text"] and caption["final"] and caption["start_ms"] < caption["end_ms"], caption
    return ids


def kept(server, name):
    return {c["id"]: (c["start_ms"], c["end_ms"], c["text"]) for c in server.captions(name)}


def test_files(case: Case):
    """Text and binary, formats, statistics; what is printed is what the timeline has."""
    clip = case.clip("three.mp4", seconds=1)
    with Server(case, "--frame-batch-size", 5, "--caption-min", "500ms") as server:
        for name, options in (("text", ()), ("binary", ("--binary",)), ("small", ("--size", "64", "--quality", "30"))):
            result = case.run("send", "--server", url(server), "--video", clip, "--fps", 5, "--stream", name, "--gemini",
                              "--stats", *options)
            equal(result.status, 0, result.err)
            captions = result.captions()
            check_order(captions)
            equal({c["id"]: (c["start_ms"], c["end_ms"], c["text"]) for c in captions}, kept(server, name))
            equal({c["stream"] for c in captions}, {name})
            stats = stats_of(result.err)
            assert 12 <= stats["sent"] <= 18, stats
            equal((stats["acknowledged"], stats["errors"], stats["reconnects"]), (stats["sent"], 0, 0), stats)
            equal(stats["captions"], len(captions))
            shown = server.stream(name)
            equal((shown["state"], shown["counters"]["received"]), ("ended", stats["sent"]))
            assert shown["clock_ms"] < 4000, shown
        # as text; the sentence of statistics; no terminal: no progress
        result = case.run("send", clip, "--server", url(server), "--fps", 5)
        equal(result.status, 0, result.err)
        assert re.search(r"^\[?0:00", result.out, re.M), result.out
        contains(result.err, "frames sent", "acknowledged", "captions", "reconnects")
        assert "\r" not in result.err and "\x1b" not in result.err + result.out, result.err
        # into files of each format
        for form, sign in (("vtt", "WEBVTT"), ("srt", "1\n00:00:00,"), ("jsonl", '{"'), ("text", "0:0")):
            result = case.run("send", clip, "--server", url(server), "--fps", 5, "--format", form, "-o", f"out.{form}")
            equal((result.status, result.out), (0, ""), result.err)
            contains(pathlib.Path(case.path(f"out.{form}")).read_text().replace("\r", ""), sign)
        equal([p.name for p in case.folder.iterdir() if p.name.startswith("out.") and p.suffix[1:] not in
               ("vtt", "srt", "jsonl", "text")], [], "nothing half-written")


def test_keys(case: Case):
    case.run("keys", "new", "reader", "--scopes", "read", "--keys", case.path("keys.json"))
    reader = case.run("keys", "new", "r2", "--scopes", "read", "--keys", case.path("keys.json")).out.strip()
    key = case.run("keys", "new", "door", "--scopes", "ingest", "--keys", case.path("keys.json")).out.strip()
    clip = case.clip("one.mp4", colours=("red",), seconds=1)
    with Server(case, "--keys", "keys.json") as server:
        for wrong, word in (((), "401"), (("--key", "wrong-key-1234567890"), "401"), (("--key", reader), "403")):
            result = case.run("send", clip, "--server", url(server), *wrong)
            equal(result.status, USAGE, result.err)
            contains(result.err, word)
            assert "wrong-key-123" not in result.err and reader not in result.err, result.err
        equal(case.run("send", clip, "--server", url(server), "--key", key).status, 0)
        case.env["MANAKO_KEY"] = key
        result = case.run("send", clip, "--server", url(server))
        equal(result.status, 0, result.err)
        for text in (result.out, result.err, "".join(server.lines)):
            assert key not in text, text


def test_what_cannot_be(case: Case):
    """A sentence each, and the code that fits."""
    clip = case.clip("one.mp4", colours=("red",), seconds=1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    quick = ("--reconnect-max", "1")
    for arguments, statuses, words in (
            (("--video", "nowhere.mp4"), (NOT_FOUND,), ("nowhere.mp4",)),
            (("--video", clip, clip), (USAGE,), ("twice",)),
            ((), (USAGE,), ("--video",)),
            ((clip, "--server", "http://127.0.0.1:1/ws/stream"), (USAGE, BAD_INPUT), ("http", "ws")),
            ((clip, "--server", "nonsense"), (USAGE, BAD_INPUT), ("nonsense",)),
            ((clip, "--server", ""), (USAGE, BAD_INPUT), ("server",)),
            ((clip, "--server", f"ws://127.0.0.1:{nobody}/ws/stream", *quick), (SOURCE,), ("127.0.0.1", "refused")),
            ((clip, "--server", "ws://no-such-host.invalid/ws/stream", *quick), (SOURCE,), ("no-such-host.invalid",)),
            ((clip, "--server", "ws://127.0.0.1:99999/ws/stream"), (USAGE, BAD_INPUT), ("99999",)),
            (("--video", "camera:7", "--server", f"ws://127.0.0.1:{nobody}/ws/stream"), (NOT_FOUND, SOURCE), ("video7",)),
            ((clip, "--stream", "a b"), (USAGE, BAD_INPUT), ("a b",)),
            ((clip, "--fps", "0"), (USAGE,), ("fps",))):
        result = case.run("send", *arguments)
        assert result.status in statuses, (arguments, result.status, result.err)
        contains(result.err, *words)
        equal(result.out, "")
    with Server(case) as server:
        result = case.run("send", clip, "--server", f"ws://127.0.0.1:{server.port}/nothing")
        equal(result.status, USAGE, result.err)
        contains(result.err, "404")
        result = case.run("send", clip, "--server", url(server), "--output", "no/such/folder.txt")
        equal(result.status, OUTPUT, result.err)
        for name in ("folder", "text.mp4"):
            path = pathlib.Path(case.path(name))
            path.mkdir() if name == "folder" else path.write_text("no video\n" * 200)
            result = case.run("send", path, "--server", url(server))
            assert result.status not in (0, None) and name in result.err, (result.status, result.err)
        equal(server.get("/healthz")["status"], "ok")
    # one that speaks something else, one that says nothing
    for words in (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"\x00" * 100, b""):
        with socket.create_server(("127.0.0.1", 0)) as strange:
            def talk(server=strange, say=words):
                client, _ = server.accept()
                client.recv(4096)
                client.sendall(say)
                client.close()
            threading.Thread(target=talk, daemon=True).start()
            result = case.run("send", clip, "--server", f"ws://127.0.0.1:{strange.getsockname()[1]}/", "--reconnect-max", "0")
            equal(result.status, SOURCE, (words, result.err))


def test_loop_until_interrupted(case: Case):
    clip = case.clip("two.mp4", colours=("red", "blue"), seconds=1)
    with Server(case, "--frame-batch-size", 5, "--caption-min", "500ms") as server:
        process = case.start("send", clip, "--server", url(server), "--loop", "--fps", 5, "--gemini", "--stream", "round",
                             "--stats")
        out = []
        threading.Thread(target=lambda: out.extend(process.stdout), daemon=True).start()
        wait_until("the second time round", lambda: len(out) >= 4)
        process.send_signal(signal.SIGINT)
        equal(process.wait(PATIENCE), 130)
        err = process.stderr.read()
        check_sanitizers(err)
        assert stats_of(err)["sent"] > 10, err
        wait_until("its last line", lambda: out and out[-1].endswith("\n") and len(out) == stats_of(err)["captions"])
        captions = [json.loads(line) for line in out]
        check_order(captions)
        wait_until("the end", lambda: server.stream("round")["state"] == "ended")
        equal({c["id"]: (c["start_ms"], c["end_ms"], c["text"]) for c in captions}, kept(server, "round"),
              "what was known is told before the end")


def test_server_that_comes_back(case: Case):
    """Killed and started again: the stream goes on, nothing is told twice or lost."""
    clip = case.clip("long.mp4", colours=("red", "green", "blue", "yellow"), seconds=1)
    server = Server(case, "--frame-batch-size", 5, "--caption-min", "500ms")
    process = case.start("send", clip, "--server", url(server), "--loop", "--fps", 5, "--gemini", "--stream", "phoenix",
                         "--stats", "--log-level", "warning")
    out = []
    threading.Thread(target=lambda: out.extend(process.stdout), daemon=True).start()
    for number in range(3):
        wait_until("captions", lambda: len(out) >= 2 * number + 2)
        server.kill()
        time.sleep(0.3 * number)
        server.start()
        wait_until("its return", lambda: server.stream("phoenix")["state"] == "running")
    wait_until("captions after all", lambda: len(out) >= 10)
    process.send_signal(signal.SIGTERM)
    equal(process.wait(PATIENCE), 130)
    err = process.stderr.read()
    stats = stats_of(err)
    wait_until("its last line", lambda: len(out) == stats["captions"])
    equal(stats["reconnects"], 3, err)
    captions = [json.loads(line) for line in out]
    check_order(captions)
    told = {c["id"]: (c["start_ms"], c["end_ms"], c["text"]) for c in captions}
    wait_until("the end", lambda: server.stream("phoenix")["state"] == "ended")
    equal(told, kept(server, "phoenix"))
    equal(server.stop(), 0)


def test_output_that_closes(case: Case):
    clip = case.clip("two.mp4", colours=("red", "blue"), seconds=1)
    with Server(case, "--frame-batch-size", 3, "--caption-min", "500ms") as server:
        process = case.start("send", clip, "--server", url(server), "--loop", "--fps", 5)
        process.stdout.readline()
        process.stdout.close()
        status = process.wait(PATIENCE)
        err = process.stderr.read()
        check_sanitizers(err)
        assert status in (0, OUTPUT), (status, err)
        if os.path.exists("/dev/full"):
            with open("/dev/full", "w") as full:
                process = subprocess.Popen([PROGRAM, "send", clip, "--server", url(server)], stdout=full,
                                           stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=case.env, cwd=case.folder,
                                           text=True)
                err = process.communicate(timeout=PATIENCE)[1]
                equal(process.returncode, OUTPUT, err)
                contains(err, "No space left")
        equal(server.get("/healthz")["status"], "ok")


# ---- on a terminal ----

class Screen:
    """As much of a terminal as one line of progress needs; anything else that is sent to it is a fault."""

    def __init__(self, width=80):
        self.lines, self.x, self.width, self.strange = [""], 0, width, []

    def feed(self, text):
        for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b", text):
            if piece == "\r":
                self.x = 0
            elif piece == "\n":
                self.lines.append("")
                self.x = 0
            elif piece in ("\x1b[K", "\x1b[0K"):
                self.lines[-1] = self.lines[-1][:self.x]
            elif piece == "\x1b[2K":
                self.lines[-1] = ""
            elif re.fullmatch(r"\x1b\[[0-9;]*m", piece):
                pass
            elif piece.startswith("\x1b") or not piece.isprintable():
                self.strange.append(piece)
            else:
                line = self.lines[-1].ljust(self.x)
                self.lines[-1] = line[:self.x] + piece + line[self.x + len(piece):]
                self.x += len(piece)


def test_on_a_terminal(case: Case):
    """One line of progress that goes away; captions whole; nothing left behind."""
    clip = case.clip("three.mp4", seconds=1)
    with Server(case, "--frame-batch-size", 5, "--caption-min", "500ms") as server:
        ours, theirs = pty.openpty()
        environment = {**case.env, "TERM": "xterm-256color"}
        process = subprocess.Popen([PROGRAM, "send", clip, "--server", url(server), "--fps", "5", "--stream", "tty"],
                                   stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=case.folder)
        os.close(theirs)
        text, until = b"", time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            if not select.select([ours], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(ours, 4096)
            except OSError as why:
                equal(why.errno, errno.EIO)
                break
            if not data:
                break
            text += data
        equal(process.wait(PATIENCE), 0)
        os.close(ours)
        screen, shown = Screen(), text.decode()
        screen.feed(shown)
        equal(screen.strange, [])
        contains(shown, "frames sent")
        lines = [line.rstrip() for line in screen.lines if line.strip()]
        captions = server.captions("tty")
        equal(len(lines), len(captions) + 1, lines)
        for line, caption in zip(lines, captions):
            contains(line, caption["text"])
            assert "frames sent" not in line, line
        contains(lines[-1], "frames sent", "acknowledged")


# ---- the prototype's client ----

def test_the_prototypes_client(case: Case):
    """Unchanged, at its own pace: a caption for each batch, flush and end answered, the connection closed well."""
    folder = pathlib.Path(case.path("pictures"))
    folder.mkdir()
    for i in range(24):
        (folder / f"{i:03}.jpg").write_bytes(jpeg(("red", "green", "blue")[i // 8]))
    with Server(case, environment={"STREAMING_DVC_FRAME_BATCH_SIZE": "8"}) as server:
        program = [sys.executable, str(HERE / "prototype_client.py"), "--server", url(server), "--video", str(folder),
                   "--fps", "20"]
        run = subprocess.run(program, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        equal(run.returncode, 0, run.stderr)
        answers = [json.loads(line) for line in run.stdout.splitlines()]
        acks = [a for a in answers if a.get("type") == "ack"]
        equal(sum(a.get("frames", 1) for a in acks), 24)
        equal(max(a["frame_count"] for a in acks), 8)
        equal([a for a in answers if a.get("type") == "error"], [])
        captions = [a for a in answers if a.get("type") not in ("ack", "error")]
        assert captions and all(isinstance(c["memory_summary"], list) for c in captions), captions
        name = captions[0]["stream"]
        equal({c["id"]: (c["start_ms"], c["end_ms"], c["text"]) for c in captions}, kept(server, name))
        equal(server.stream(name)["counters"]["received"], 24)
        # only captions, going round
        run = subprocess.run([*program, "--gemini", "--loop", "--frames", "40"], capture_output=True, text=True,
                             timeout=TIMEOUT, check=False)
        equal(run.returncode, 0, run.stderr)
        captions = [json.loads(line) for line in run.stdout.splitlines()]
        assert captions and all(c["text"] and c["memory_summary"] is not None for c in captions), captions


if __name__ == "__main__":
    main([value for name, value in list(globals().items()) if name.startswith("test_")])
