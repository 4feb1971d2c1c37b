"""Streams as resources: made, listed, changed and ended; their captions, events, frames and pictures."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import sqlite3
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).parent.parent / "language"))
from fault_server import KEY, FaultServer
from live import PATIENCE, Client, Server, frame, jpeg, keep_pace, quote, wait_until
from tap import Case, contains, equal, main

ZERO = 1_790_000_000.0


def push_captions(client, server, name, n=24, start=0, change=6):
    for i in range(start, start + n):
        client.send(frame(i, ZERO + i * 0.5, jpeg(("red", "green", "blue")[i // change % 3])))
        client.hear(0.01)
        if i % 4 == 3:
            keep_pace(server, name, (i - 4) * 500)


def pushed(server, name, **options):
    """A pushed stream that has ended."""
    with Client(server) as client:
        client.say(type="hello", stream=name)
        client.hear_type("hello")
        push_captions(client, server, name, **options)
        client.say(type="end")
        client.drain()
    equal(server.stream(name)["state"], "ended")
    return server.captions(name)


def over(server, name):
    return wait_until(f"the end of {name}", lambda: (s := server.stream(name))["state"] in ("ended", "failed") and s)


def check_sum(stream):
    counters = stream["counters"]
    equal(counters["received"], sum(counters[k] for k in ("encoded", "gated", "late", "dropped", "queued")),
          f"the accounting identity of {counters}")
    equal(counters["dropped"], sum(counters["dropped_by"].values()), "drops by reason")


def refused(answer, status, *words, field=None):
    equal(answer[0], status, answer[1])
    error = answer[1]["error"]
    contains(error["message"], *words)
    if field:
        equal(error.get("field"), field, error)
    assert not error["message"].endswith("."), error


# ---- files ----

def test_a_file(case: Case):
    """Captions as JSON, WebVTT and SRT, key frames, search, and the sums."""
    os.mkdir(case.path("videos"))
    case.clip("videos/three.mp4")
    with Server(case, "--files-root", case.path("videos")) as server:
        status, stream, answer = server.request("POST", "/v1/streams", {"source": "three.mp4", "params": {"fps": 2}})
        equal((status, stream["id"], stream["params"]["fps"]), (201, "three", 2))
        equal(answer.getheader("Location"), "/v1/streams/three")
        equal(stream["source"], {"kind": "file", "address": "three.mp4"})
        stream = over(server, "three")
        equal((stream["state"], stream["error"]), ("ended", None))
        equal((stream["video"]["width"], stream["video"]["height"], stream["video"]["codec"]), (320, 240, "h264"))
        equal(stream["duration_ms"], 12000)
        check_sum(stream)
        equal(stream["counters"]["queued"], 0)
        equal(stream["counters"]["received"], 24)
        captions = server.captions("three")
        equal([c["start_ms"] for c in captions], [0, 4000, 8000])
        equal(stream["captions"], 3)
        equal(stream["last_seq"], max(c["seq"] for c in captions))

        vtt = server.request("GET", "/v1/streams/three/captions?format=vtt")
        equal(vtt[2].getheader("Content-Type"), "text/vtt; charset=utf-8")
        assert vtt[1].decode().startswith("WEBVTT\n"), vtt[1]
        equal(re.findall(rb"[\d:.]+ --> [\d:.]+", vtt[1]),
              [b"00:00:00.000 --> 00:00:04.000", b"00:00:04.000 --> 00:00:08.000", b"00:00:08.000 --> 00:00:12.000"])
        srt = server.get("/v1/streams/three/captions?format=srt").decode()
        contains(srt.replace("\r", ""), "1\n00:00:00,000 --> 00:00:04,000\n", "3\n00:00:08,000 --> 00:00:12,000\n")
        part = server.get("/v1/streams/three/captions?from=0:05&to=7")
        equal(([c["start_ms"] for c in part["captions"]], part["more"]), ([4000], False))
        part = server.get("/v1/streams/three/captions?limit=2")
        equal((len(part["captions"]), part["more"]), (2, True))

        frames = [f["pts_ms"] for f in server.get("/v1/streams/three/frames")["frames"]]
        equal(len(frames), 3)
        for pts, caption in zip(frames, captions):
            assert caption["start_ms"] <= pts < caption["end_ms"], (pts, caption)
        status, picture, answer = server.request("GET", f"/v1/streams/three/frames/{frames[1]}.jpg")
        equal((status, answer.getheader("Content-Type"), picture[:2]), (200, "image/jpeg", b"\xff\xd8"))
        equal(server.request("GET", "/v1/streams/three/frames/latest.jpg")[0], 200)
        equal([f["pts_ms"] for f in server.get("/v1/streams/three/frames?from=4&to=8")["frames"]], frames[1:2])
        for name in ("x.jpg", "1.png", "-1.jpg", "99999999999999999999.jpg", "latest"):
            equal(server.request("GET", f"/v1/streams/three/frames/{name}")[0], 404, name)

        word = re.findall(r"[a-z]{4,}", captions[1]["text"])[-1]
        hits = server.get(f"/v1/search?q={quote(word)}")["hits"]
        contains([h["caption"]["id"] for h in hits], captions[1]["id"])
        hit = next(h for h in hits if h["caption"]["id"] == captions[1]["id"])
        contains(hit["snippet"], "\u2068", "\u2069")
        equal(server.request("GET", hit["picture"])[0], 200)
        equal(server.get(f"/v1/search?q={quote(word)}&stream=none")["hits"], [])
        equal(len(server.get(f"/v1/search?q={quote(word)}&from=1000&to=2000")["hits"]), 0)
        refused(server.request("GET", "/v1/search?q=%20"), 400)


def test_which_files(case: Case):
    """Only regular files below the folder, whatever links there are."""
    root, outside = pathlib.Path(case.path("videos")), pathlib.Path(case.path("secret.mp4"))
    (root / "sub").mkdir(parents=True)
    clip = case.clip("videos/sub/ok.mp4", seconds=1)
    outside.write_bytes(pathlib.Path(clip).read_bytes())
    (root / "out.mp4").symlink_to(outside)
    (root / "updir").symlink_to("..")
    (root / "in.mp4").symlink_to("sub/ok.mp4")
    (root / "loop.mp4").symlink_to("loop.mp4")
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("this is no video\n" * 100)
    os.mkfifo(root / "pipe.mp4")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(root / "sock.mp4"))
    with Server(case, "--files-root", root) as server:
        post = lambda source: server.request("POST", "/v1/streams", {"source": str(source)})
        for source in ("../secret.mp4", "sub/../../secret.mp4", outside, "/etc/passwd", "out.mp4", "updir/secret.mp4",
                       "loop.mp4", "sub", "", ".", "pipe.mp4", "sock.mp4", "none.mp4", "/proc/self/environ", "-",
                       "/dev/null", "/dev/zero", "sub/", str(root), "a" * 5000):
            answer = post(source)
            assert answer[0] in (400, 404, 415), (source, answer)
            equal(answer[1]["error"]["field"], "source", answer[1])
            assert "secret" not in answer[1]["error"]["message"].replace(str(source), ""), answer[1]
        for source in ("file:///etc/passwd", "concat:a|b", "subfile,,start,0,end,9,,:x", "pipe:0", "ftp://x/y", "data:x",
                       "rtmp://example.org/x", "tcp://127.0.0.1:1", "javascript:1", "http://", "rtsp://", "http://a b/"):
            assert post(source)[0] in (400, 404), source
        assert post("empty.mp4")[0] in (400, 404)
        for source, name in (("sub/ok.mp4", "ok"), ("in.mp4", "ok-"), (root / "sub/ok.mp4", "ok-")):
            status, stream, _ = post(source)
            equal(status, 201, stream)
            assert stream["id"].startswith(name), stream
            equal(over(server, stream["id"])["state"], "ended")
        status, stream, _ = post("text.mp4")
        if status == 201:
            equal(over(server, stream["id"])["error"]["code"], "bad_input")
    sock.close()
    with Server(case) as server:
        refused(server.request("POST", "/v1/streams", {"source": "sub/ok.mp4"}), 403, "--files-root", field="source")


def test_other_sources(case: Case):
    with Server(case) as server:
        post = lambda source: server.request("POST", "/v1/streams", {"source": source})
        refused(post("upload:nothing"), 404, field="source")
        refused(post("camera:xy"), 400)
        for source in ("rtsp://127.0.0.1:1/x", "http://10.1.2.3/a.mp4", "http://169.254.169.254/latest", "http://[::1]/",
                       "http://2130706433/", "http://0x7f.1/"):
            status, answer, _ = post(source)
            if status == 201:  # a name's address is judged when it is connected to
                equal(over(server, answer["id"])["state"], "failed")
            else:
                assert status in (400, 403, 413), (source, answer)


def test_an_address_with_secrets(case: Case):
    with Server(case, "--outbound-allow", "loopback") as server:
        source = "rtsp://root:hunter2@127.0.0.1:9/live?token=s3cr3t"
        status, stream, _ = server.request("POST", "/v1/streams", {"source": source, "params": {"reconnect_max": 0}})
        equal(status, 201, stream)
        equal(stream["source"]["kind"], "rtsp")
        stream = over(server, stream["id"])
        equal(stream["state"], "failed")
        everything = json.dumps(server.get("/v1/streams")) + json.dumps(stream) + "".join(server.lines)
        for secret in ("hunter2", "s3cr3t"):
            assert secret not in everything, everything
        contains(everything, "127.0.0.1:9")
        equal(stream["id"], "127_0_0_1")


def test_names(case: Case):
    with Server(case) as server:
        post = lambda **body: server.request("POST", "/v1/streams", {"source": "push", **body})
        for name in ("a b", "../x", "ä", "a" * 65, "", "a/b", "a\n"):
            refused(post(id=name), 400, "id", field="id")
        equal(post(id="one")[0], 201)
        refused(post(id="one"), 409, "one", field="id")
        made = [post()[1]["id"] for _ in range(3)]
        assert len(set(made)) == 3 and all(re.fullmatch(r"push-[a-z0-9]{8}", name) for name in made), made
        pushed(server, "old", n=8)
        refused(post(id="old"), 409, "old", field="id")
        equal(server.request("DELETE", "/v1/streams/old?captions=delete")[0], 200)
        equal(server.request("GET", "/v1/streams/old")[0], 404)
        equal(post(id="old")[0], 201)
        for path in ("/v1/streams/none", "/v1/streams/none/captions", "/v1/streams/none/events",
                     "/v1/streams/none/frames", "/v1/streams/none/frames/1.jpg", "/v1/streams/none/video.mjpeg",
                     "/v1/streams/a%20b", "/v1/streams/%C3%A4/events"):
            refused(server.request("GET", path), 404)


# ---- change and end ----

def test_patch(case: Case):
    with Server(case) as server:
        server.request("POST", "/v1/streams", {"id": "door", "source": "push", "params": {"caption_max": "20s"}})
        patch = lambda **params: server.request("PATCH", "/v1/streams/door", {"params": params})
        with server.events("/v1/streams/door/events") as events:
            equal(next(events)[0], "state")
            status, stream, _ = patch(lang="ja", fps=3)
            equal((status, stream["params"]["lang"], stream["params"]["fps"]), (200, "ja", 3))
            equal(stream["params"]["caption_max"], 20)
            told = next(data for name, _, data in events if name == "state" and data["params"]["fps"] == 3)
            equal(told["params"]["lang"], "ja")
        refused(patch(fps=0), 400, "fps", field="params.fps")
        refused(patch(loop=True), 400, "loop", field="params.loop")
        refused(patch(nothing=1), 400, "nothing")
        refused(server.request("PATCH", "/v1/streams/door", {}), 400, "params", field="params")
        refused(server.request("PATCH", "/v1/streams/none", {"params": {"fps": 1}}), 404)
        equal(server.stream("door")["params"]["fps"], 3)
        with Client(server) as client:
            client.say(type="hello", stream="door")
            client.hear_type("hello")
            push_captions(client, server, "door", n=8)
            client.say(type="end")
            client.drain()
        assert all(c["lang"] == "ja" for c in server.captions("door"))
        refused(server.request("PATCH", "/v1/streams/door", {"params": {"fps": 1}}), 409, "ended")


def test_delete(case: Case):
    """It ends with its captions; readers are told."""
    clip = case.clip("loop.mp4")
    with Server(case, clip, "--loop", "--realtime") as server:
        wait_until("frames", lambda: server.stream("loop")["counters"]["encoded"] > 2)
        with server.events("/v1/streams/loop/events") as events:
            equal(next(events)[0], "state")
            status, stream, _ = server.request("DELETE", "/v1/streams/loop")
            equal((status, stream["state"]), (200, "ended"))
            check_sum(stream)
            rest = list(events)
            equal(rest[-1][0], "bye")
            assert any(name == "caption" for name, _, _ in rest), rest
        captions = server.captions("loop")
        assert captions
        equal(server.request("DELETE", "/v1/streams/loop")[0], 200)
        equal(len(server.captions("loop")), len(captions))
        refused(server.request("DELETE", "/v1/streams/loop?captions=all"), 400, "captions", field="captions")
        equal(server.request("DELETE", "/v1/streams/loop?captions=delete")[0], 200)
        refused(server.request("DELETE", "/v1/streams/loop?captions=delete"), 404)
        equal(server.get("/v1/streams")["streams"], [])
        equal(server.request("GET", "/v1/streams/loop/frames/latest.jpg")[0], 404)


def test_list(case: Case):
    with Server(case) as server:
        pushed(server, "first", n=8)
        server.request("POST", "/v1/streams", {"id": "second", "source": "push"})
        wait_until("waiting", lambda: server.stream("second")["state"] == "waiting")
        equal([(s["id"], s["state"]) for s in server.get("/v1/streams")["streams"]],
              [("second", "waiting"), ("first", "ended")])
    with Server(case) as server:  # what ended is known by the timeline; what waited waits again
        wait_until("waiting", lambda: server.stream("second")["state"] == "waiting")
        listed = {s["id"]: s for s in server.get("/v1/streams")["streams"]}
        equal((listed["first"]["state"], listed["first"]["source"]), ("ended", {"kind": "push", "address": "push"}))
        equal(listed["first"]["captions"], len(server.captions("first")))
        equal(server.stream("first"), listed["first"])


def test_ended_before_it_is_written(case: Case):
    """The disk is slow: what has just ended is known all the same."""
    with Server(case) as server:
        with contextlib.closing(sqlite3.connect(case.path("data/manako/timeline.db"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # now nobody else can write
            equal(server.request("POST", "/v1/streams", {"id": "brief", "source": "push"})[0], 201)
            wait_until("waiting", lambda: server.stream("brief")["state"] == "waiting")
            equal(server.request("DELETE", "/v1/streams/brief")[0], 200)
            equal(server.stream("brief")["state"], "ended")
            equal([(s["id"], s["state"]) for s in server.get("/v1/streams")["streams"]], [("brief", "ended")])
            equal(server.captions("brief"), [])
            equal(server.get("/v1/streams/brief/frames")["frames"], [])
            with server.events("/v1/streams/brief/events") as events:
                equal([name for name, _, _ in events], ["state", "bye"])
            refused(server.request("PATCH", "/v1/streams/brief", {"params": {"fps": 1}}), 409, "ended")
            other.execute("ROLLBACK")
        equal(server.request("DELETE", "/v1/streams/brief?captions=delete")[0], 200)
        equal(server.request("GET", "/v1/streams/brief")[0], 404)
        equal(server.get("/v1/streams")["streams"], [])


# ---- events ----

def test_sse(case: Case):
    with Server(case, "--frame-batch-size", 6) as server, Client(server) as client:
        client.say(type="hello", stream="sse")
        client.hear_type("hello")
        heard, reader = [], threading.Event()

        def listen():
            with server.events("/v1/streams/sse/events") as events:
                for event in events:
                    heard.append(event)
                    reader.set()

        thread = threading.Thread(target=listen)
        thread.start()
        assert reader.wait(PATIENCE)
        push_captions(client, server, "sse", n=36)
        client.say(type="end")
        client.drain()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the events end with the stream"
        names = [name for name, _, _ in heard]
        equal((names[0], names[-1]), ("state", "bye"))
        contains(names, "seen", "caption")
        captions = [(number, data) for name, number, data in heard if name == "caption"]
        equal([n for n, _ in captions], [d["seq"] for _, d in captions])
        equal([n for n, _ in captions], sorted({n for n, _ in captions}))
        equal({d["id"]: d["text"] for _, d in captions}, {c["id"]: c["text"] for c in server.captions("sse")})
        equal([m["seq"] for m in client.of("caption")], [n for n, _ in captions])
        for name, number, data in heard:
            assert (number is None) == (name != "caption"), (name, number)
            if name == "seen":
                equal(sorted(data), ["faces", "labels", "objects", "pts_ms", "texts"])
            if name == "state":
                equal(data["id"], "sse")
                check_sum(data)
        # again, from the middle: nothing twice, nothing missing
        kept = server.captions("sse")
        seqs = sorted(c["seq"] for c in kept)
        for since in (0, seqs[len(seqs) // 2], seqs[-1]):
            with server.events("/v1/streams/sse/events", last_event_id=since) as events:
                replay = [number for name, number, _ in events if name == "caption"]
            equal(replay, [s for s in seqs if s > since])
        with server.events(f"/v1/streams/sse/events?last_event_id={seqs[-2]}") as events:
            equal([number for name, number, _ in events if name == "caption"], seqs[-1:])


def test_newest_fifty(case: Case):
    with Server(case, "--frame-batch-size", 1, "--caption-min", 0) as server:
        with Client(server) as client:
            client.say(type="hello", stream="many")
            client.hear_type("hello")
            for i in range(70):
                client.send(frame(i, ZERO + i * 5, jpeg(("red", "green", "blue")[i % 3])))
                client.hear(0.01)
                keep_pace(server, "many", i * 5000)
            client.say(type="end")
            client.drain()
        kept = [c["seq"] for c in server.captions("many")]
        assert len(kept) > 55, len(kept)
        with server.events("/v1/streams/many/events") as events:
            replay = [number for name, number, _ in events if name == "caption"]
        assert 45 <= len(replay) <= 50, len(replay)
        equal(replay, sorted(kept)[-len(replay):])


def test_events_over_a_websocket(case: Case):
    with Server(case, "--frame-batch-size", 6) as server, Client(server) as client:
        client.say(type="hello", stream="ws")
        client.hear_type("hello")
        with Client(server, "/ws/events?stream=ws") as reader:
            equal(reader.hear_type("state", "event")["data"]["id"], "ws")
            reader.send("hello?")  # what a reader says is not listened to
            push_captions(client, server, "ws")
            client.say(type="end")
            client.drain()
            reader.drain()
            equal(reader.code, 1000)
            captions = [m for m in reader.messages if m["event"] == "caption"]
            equal([m["id"] for m in captions], [m["data"]["seq"] for m in captions])
            equal({m["data"]["id"] for m in captions}, {c["id"] for c in server.captions("ws")})
            equal(reader.messages[-1]["event"], "bye")
            assert reader.messages[-1]["data"]["reason"]
        with Client(server, f"/ws/events?stream=ws&last_event_id={captions[-2]['id']}") as late:
            late.drain()
            equal([m["id"] for m in late.messages if m["event"] == "caption"], [captions[-1]["id"]])
        for path in ("/ws/events", "/ws/events?stream=none", "/ws/events?stream=..", "/ws/events?stream=ws&x=1"):
            try:
                Client(server, path)
            except Exception as why:
                contains(type(why).__name__, "InvalidStatus")
            else:
                raise AssertionError(f"{path} was accepted")


def test_running_captions(case: Case):
    clip = case.clip("slow.mp4", colours=("red",), seconds=6)
    with Server(case, clip, "--realtime", "--loop", "--fps", 5, "--caption-max", 4) as server:
        with server.events("/v1/streams/slow/events") as events:
            running = next(data for name, _, data in events if name == "running")
            equal(running["final"], False)
            final = next(data for name, _, data in events if name == "caption")
            equal((final["final"], final["id"]), (True, running["id"]))


def test_a_reader_that_does_not_read(case: Case):
    """It is cut; the others do not notice."""
    with Server(case, "--backlog-max", 65536, "--frame-batch-size", 1, "--caption-min", 0) as server:
        with Client(server, max_queue=None) as client:
            client.say(type="hello", stream="busy")
            client.hear_type("hello")
            deaf = socket.socket()
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.connect(("127.0.0.1", server.port))
            deaf.sendall(b"GET /v1/streams/busy/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wait_until("two viewers", lambda: server.stream("busy")["viewers"] == 1)
            i = 0
            until = time.monotonic() + PATIENCE
            while server.stream("busy")["viewers"] == 1:
                assert time.monotonic() < until, "it is not cut"
                for _ in range(50):
                    client.send(frame(i, ZERO + i, jpeg(("red", "green", "blue")[i % 3], (64, 48))))
                    i += 1
                while client.hear(0.001):
                    pass
            client.say(type="end")
            client.drain()
            equal(client.code, 1000)
            deaf.close()


# ---- pictures ----

def parts(answer, n):
    """n pictures of a multipart answer."""
    found = []
    while len(found) < n:
        line = answer.readline()
        assert line, "the pictures end"
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
            while answer.readline().strip():
                pass
            found.append(answer.read(length))
    return found


def watch(server, name, query=""):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", f"/v1/streams/{name}/video.mjpeg{query}")
    answer = connection.getresponse()
    equal(answer.status, 200)
    contains(answer.getheader("Content-Type"), "multipart/x-mixed-replace", "boundary=")
    return connection, answer


def test_pictures_of_a_pushed_stream(case: Case):
    """The very pictures that the client sends."""
    with Server(case) as server, Client(server) as client:
        client.say(type="hello", stream="cam")
        client.hear_type("hello")
        connection, answer = watch(server, "cam", "?fps=30")
        wait_until("a viewer", lambda: server.stream("cam")["viewers"] == 1)
        for i, colour in enumerate(("red", "blue", "green")):
            client.send(frame(i, ZERO + i, jpeg(colour)))
            client.hear_type("ack")
            equal(parts(answer, 1), [jpeg(colour)])
            time.sleep(0.05)
        equal(server.request("GET", "/v1/streams/cam/frames/latest.jpg")[1], jpeg("green"))
        connection.close()
        answer.close()
        for i in range(3, 30):  # a viewer that has gone is noticed
            client.send(frame(i, ZERO + i, jpeg("red")))
            client.hear_type("ack")
        wait_until("no viewer", lambda: server.stream("cam")["viewers"] == 0)


def test_pictures_of_a_file(case: Case):
    clip = case.clip("film.mp4")
    with Server(case, clip, "--loop", "--realtime") as server:
        connection, answer = watch(server, "film", "?fps=10&size=160")
        pictures = parts(answer, 4)
        assert all(p[:2] == b"\xff\xd8" and p[-2:] == b"\xff\xd9" for p in pictures)
        width = max(int.from_bytes(p[p.index(b"\xff\xc0") + 7:][:2], "big") for p in pictures)
        equal(width, 160)
        equal(server.request("GET", "/v1/streams/film/frames/latest.jpg")[0], 200)
        refused(server.request("GET", "/v1/streams/film/video.mjpeg?fps=1000"), 400, "fps", field="fps")
        connection.close()
        answer.close()


# ---- restarts ----

def test_a_file_goes_on_after_kill(case: Case):
    """Numbers, seq and times count on; nothing is told twice, nothing is missing."""
    os.mkdir(case.path("videos"))
    case.clip("videos/long.mp4", colours=("red", "green", "blue") * 2, seconds=3, rate=10)
    server = Server(case, "--files-root", case.path("videos"))
    equal(server.request("POST", "/v1/streams", {"source": "long.mp4", "params": {"fps": 4, "realtime": True}})[0], 201)
    for wanted in (1, 3):
        wait_until("captions", lambda: len(server.captions("long")) >= wanted)
        before = server.captions("long")
        server.kill()
        server.start()
        kept = {c["id"]: c for c in server.captions("long")}
        for caption in before:
            contains(list(kept), caption["id"])
        equal(server.stream("long")["params"]["realtime"], True)
    end = over(server, "long")
    equal(end["state"], "ended", end)
    captions = server.captions("long")
    ids = [int(c["id"]) for c in captions]
    equal(ids, sorted(set(ids)))
    equal(len({c["seq"] for c in captions}), len(captions))
    equal(captions[0]["start_ms"], 0)
    assert 17000 <= captions[-1]["end_ms"] <= 18500, captions[-1]
    for earlier, later in zip(captions, captions[1:]):
        assert later["start_ms"] >= earlier["end_ms"] - 1, (earlier, later)
        assert later["start_ms"] - earlier["end_ms"] <= 1000, (earlier, later)
    equal(server.stop(), 0)
    with Server(case, "--files-root", case.path("videos")) as server:  # what has ended stays so
        equal(server.stream("long")["state"], "ended")


def test_a_file_that_is_gone_does_not_go_on(case: Case):
    os.mkdir(case.path("videos"))
    clip = case.clip("videos/away.mp4")
    server = Server(case, "--files-root", case.path("videos"))
    server.request("POST", "/v1/streams", {"source": "away.mp4", "params": {"realtime": True, "loop": True}})
    wait_until("frames", lambda: server.stream("away")["counters"]["received"] > 0)
    server.kill()
    os.unlink(clip)
    server.start()
    equal(server.stream("away")["state"], "ended")
    equal(server.stop(), 0)
    contains("".join(server.lines), "not-resumed")


def test_the_operators_own(case: Case):
    """What the command line names is begun by it alone."""
    a, b = case.clip("a.mp4"), case.clip("b.mp4")
    server = Server(case, a, "--loop", "--realtime")
    wait_until("a caption", lambda: server.captions("a"))
    before = server.captions("a")
    server.kill()
    with Server(case, a, b, "--loop", "--realtime") as server:  # cut off: it goes on
        wait_until("more", lambda: len(server.captions("a")) > len(before))
        ids = [c["id"] for c in server.captions("a")]
        equal(len(ids), len(set(ids)))
        for caption in before:
            contains(ids, caption["id"])
        equal(server.stream("a")["source"]["address"], "a.mp4")
    with Server(case, b) as server:
        equal(server.stream("a")["state"], "ended")
        over(server, "b")


# ---- keys ----

def test_keys(case: Case):
    keys = {}
    for name, scopes in (("cam1", "ingest"), ("cam2", "ingest"), ("eye", "read")):
        made = case.run("keys", "new", name, "--scopes", scopes, "--keys", case.path("keys.json"))
        equal(made.status, 0, made.err)
        keys[name] = {"Authorization": f"Bearer {made.out.strip()}"}
    with Server(case, "--keys", case.path("keys.json")) as server:
        client = Client(server, extra_headers=keys["cam1"])
        client.say(type="hello", stream="mine")
        client.hear_type("hello")
        client.send(frame(0, ZERO, jpeg()))
        client.hear_type("ack")
        client.cut()
        with Client(server, extra_headers=keys["cam2"]) as other:
            for words in ({"type": "resume"}, {"type": "hello"}):
                other.say(stream="mine", **words)
                contains(other.hear_type("error")["detail"], "mine", "another key")
        with Client(server, extra_headers=keys["cam1"]) as again:
            again.say(type="resume", stream="mine")
            again.hear_type("resume")
            again.say(type="end")
            again.drain()
        with Client(server, extra_headers=keys["cam2"]) as other:  # ended: still that key's
            other.say(type="resume", stream="mine")
            contains(other.hear_type("error")["detail"], "another key")
        for headers, path in (({}, "/ws/stream"), (keys["eye"], "/ws/stream"), (keys["cam1"], "/ws/events?stream=mine")):
            try:
                Client(server, path, extra_headers=headers)
            except Exception as why:
                contains(type(why).__name__, "InvalidStatus")
            else:
                raise AssertionError(f"{path} was opened with {headers}")
        equal(server.request("GET", "/v1/streams", headers=keys["eye"])[0], 200)
        equal(server.request("GET", "/v1/streams", headers=keys["cam1"])[0], 403)
        equal(server.request("POST", "/v1/streams", {"source": "push"}, headers=keys["eye"])[0], 403)
        everything = json.dumps(server.request("GET", "/v1/streams", headers=keys["eye"])[1])
        assert "cam1" not in everything, everything


# ---- remote services ----

def test_tokens_of_a_key(case: Case):
    """A key whose tokens of the day are used up: the template tells, and the stream says so."""
    made = case.run("keys", "new", "thrifty", "--scopes", "admin", "--keys", case.path("keys.json"))
    headers = {"Authorization": f"Bearer {made.out.strip()}"}
    keys = json.loads(pathlib.Path(case.path("keys.json")).read_text())
    keys["keys"][0]["tokens_per_day"] = 500
    pathlib.Path(case.path("keys.json")).write_text(json.dumps(keys))
    with FaultServer() as remote, Server(
            case, "--keys", case.path("keys.json"), "--backend", "openai", "--openai-url", f"{remote.url}/v1", "--model",
            "test-model", "--frame-batch-size", 4, environment={"OPENAI_API_KEY": KEY}) as server:
        look = lambda: server.request("GET", "/v1/streams/paid", headers=headers)[1]
        with Client(server, extra_headers=headers) as client:
            client.say(type="hello", stream="paid")
            client.hear_type("hello")
            equal(look()["backend"]["name"], "openai")
            for i in range(4):
                client.send(frame(i, ZERO + i, jpeg()))
            client.say(type="flush")
            equal(client.hear_type("caption")["data"]["backend"], "openai")
            spent = wait_until("the charge", lambda: (b := look()["backend"])["name"] == "template" and b)
            equal(spent["state"], "degraded")
            contains(spent["detail"], "tokens")
            calls = len(remote.state.log)
            for i in range(4, 12):
                client.send(frame(i, ZERO + i, jpeg("blue")))
            client.say(type="end")
            client.drain()
            equal(client.of("caption")[-1]["data"]["backend"], "template")
            equal(len(remote.state.log), calls)


def test_search_by_meaning(case: Case):
    """The encoder of the test knows texts by their length."""
    with FaultServer() as remote, Server(
            case, "--vertex-url", remote.url, "--vertex-token", KEY, "--vertex-project", "p", "--backend", "template",
            "--vertex-bert-endpoint", "projects/p/locations/l/endpoints/7", "--outbound-allow", "loopback") as server:
        captions = pushed(server, "meaning", n=18)
        lengths = {c["id"]: len(c["text"]) for c in captions}
        assert len(set(lengths.values())) > 1, captions
        for length in lengths.values():
            query = "q" * length  # no caption has such a word
            find = lambda: (h := server.get(f"/v1/search?q={query}")["hits"]) and len(h) == len(captions) and h
            hits = wait_until("vectors", find)
            equal(lengths[hits[0]["caption"]["id"]], length)
        word = re.findall(r"[a-z]{4,}", captions[0]["text"])[-1]
        hits = server.get(f"/v1/search?q={word}")["hits"]
        contains(hits[0]["snippet"], "\u2068" + word)
        remote.faults(always="503", on="predict")
        hits = server.get(f"/v1/search?q={word}")["hits"]  # the service is away: words still find
        assert hits and all(word in h["caption"]["text"] for h in hits), hits


def test_metrics(case: Case):
    with Server(case) as server:
        pushed(server, "sum", n=12)
        text = server.get("/metrics").decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        equal(float(values["manako_frames_received_total"]), 12)
        equal(sum(float(v) for k, v in values.items() if k.startswith("manako_frames_total{")), 12)
        equal(float(values["manako_streams"]), 0)
        assert float(values["manako_captions_total"]) >= 1


main([v for k, v in list(globals().items()) if k.startswith("test_")])
