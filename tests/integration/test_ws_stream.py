"""/ws/stream: the prototype's client unchanged, binary frames, parameters, resume, slow and bad clients."""
import base64
import json
import random
import struct

from live import Client, Server, frame, jpeg, keep_pace, packet, wait_until
from tap import LONG, Case, contains, equal, main

ZERO = 1_790_000_000.0  # seconds; where the clients' clocks begin


def colours(n, change=6):
    """Pictures that change every few frames."""
    return [jpeg(("red", "green", "blue", "gray")[i // change % 4]) for i in range(n)]


def send_all(client, pictures, start=0, step=0.5, server=None):
    """As the prototype's client does it: after each frame a look at what has come, 10 ms at most. With a server,
    as fast as that looks at the frames."""
    for i, picture in enumerate(pictures, start):
        client.send(frame(i, ZERO + i * step, picture))
        client.hear(0.01)
        if server and i % 4 == 3:
            keep_pace(server, newest(server), i * step * 1000)


def newest(server):
    streams = server.get("/v1/streams")["streams"]
    return streams[0]["id"] if streams else "none"


def check_captions(messages):
    """Captions are whole, in order, told once; the newest text of each is returned by its id."""
    seqs = [m["seq"] for m in messages]
    equal(seqs, sorted(set(seqs)), "seq rises, nothing comes twice")
    told = {}
    for m in messages:
        data = m["data"]
        for name in ("id", "seq", "start_ms", "end_ms", "final"):
            equal(data[name], m[name], name)
        assert m["final"] is True and m["end_ms"] > m["start_ms"] >= 0, m
        assert isinstance(data["memory_summary"], list), data
        assert data["text"] and data["stream"] and data["backend"] == "template", data
        told[m["id"]] = m
    return told


def check_kept(server, name, told):
    """What was told is in the timeline, once, as it was told last."""
    kept = server.captions(name)
    starts = [c["start_ms"] for c in kept]
    equal(starts, sorted(starts), "in the order of time")
    equal({c["id"]: (c["start_ms"], c["end_ms"], c["text"], c["seq"]) for c in kept},
          {i: (m["start_ms"], m["end_ms"], m["data"]["text"], m["seq"]) for i, m in told.items()})


def check_sum(counters):
    equal(counters["received"],
          sum(counters[k] for k in ("encoded", "gated", "late", "dropped", "queued")), "the accounting identity")
    equal(counters["dropped"], sum(counters["dropped_by"].values()), "drops by reason")


# ---- the prototype's client ----

def test_the_client_of_the_prototype(case: Case):
    with Server(case, "--frame-batch-size", 8) as server, Client(server) as client:
        send_all(client, colours(30), server=server)
        client.say(type="end")
        client.drain()
        equal(client.code, 1000)
        acks = client.of("ack")
        equal(sum(a["frames"] for a in acks), 30)
        equal([a["frame_count"] for a in acks if a["frames"] == 1][:8], [1, 2, 3, 4, 5, 6, 7, 8])
        assert max(a["frame_count"] for a in acks) == 8, "a batch begins anew after 8 frames"
        equal([a["frame_index"] for a in acks][-1], 29)
        told = check_captions(client.of("caption"))
        assert len(told) >= 3, told
        name = client.of("caption")[0]["data"]["stream"]
        assert name.startswith("push-"), name
        check_kept(server, name, told)
        ends = [m["end_ms"] for m in told.values()]
        equal(min(m["start_ms"] for m in told.values()), 0)
        assert 14500 <= max(ends) <= 15500, ends
        equal(client.of("error"), [])
        shown = server.stream(name)
        equal(shown["state"], "ended")
        equal(shown["counters"]["received"], 30)
        equal(shown["counters"]["queued"], 0)
        check_sum(shown["counters"])


def test_flush(case: Case):
    with Server(case) as server, Client(server) as client:
        client.say(type="flush")  # nothing is buffered: nothing comes
        send_all(client, colours(5))
        client.say(type="flush")
        first = client.hear_type("caption")
        assert first["start_ms"] <= 1000, first
        summary = first["data"]["memory_summary"]
        assert 1 <= len(summary) <= 4, summary
        for item in summary:
            assert 0 <= item["frame_index"] < 5 and 0 <= item["importance"] <= 1, item
            assert len(item["vector"]) <= 32 and all(isinstance(v, (int, float)) for v in item["vector"]), item
        send_all(client, colours(5, change=2), start=5)
        client.say(type="flush")
        client.hear_type("caption")
        counts = [a["frame_count"] for a in client.of("ack")]
        equal(counts, [1, 2, 3, 4, 5] * 2, "flush empties the buffer")


def test_without_a_frame(case: Case):
    with Server(case) as server, Client(server) as client:
        client.say(type="end")
        equal(client.drain(), [])
        equal(client.code, 1000)
        equal(server.get("/v1/streams")["streams"], [])


def test_frames_without_index(case: Case):
    with Server(case) as server, Client(server) as client:
        client.say(type="frame", timestamp=1.5, image_base64=base64.b64encode(jpeg()).decode(), more={"a": [1]})
        ack = client.hear_type("ack")
        equal((ack["frame_count"], ack["frames"], "frame_index" in ack), (1, 1, False))


# ---- hello, params, binary frames ----

def test_hello_and_binary(case: Case):
    with Server(case) as server, Client(server) as client:
        client.say(type="hello", stream="door", binary=True, params={"batch_size": 4, "language": "ja"})
        hello = client.hear_type("hello")
        equal((hello["stream"], hello["binary"]), ("door", True))
        equal(sorted(hello["limits"]), ["frame_bytes", "message_bytes", "pixels"])
        equal((hello["params"]["frame_batch_size"], hello["params"]["lang"]), (4, "ja"))
        for i, picture in enumerate(colours(9)):
            client.send(packet(i, ZERO + i, picture))
            equal(client.hear_type("ack")["frame_index"], i)
        client.say(type="end")
        client.drain()
        told = check_captions(client.of("caption"))
        assert told and all(m["data"]["lang"] == "ja" for m in told.values()), told
        equal(server.stream("door")["counters"]["received"], 9)
        check_kept(server, "door", told)


def test_params_live(case: Case):
    with Server(case) as server, Client(server) as client:
        client.say(type="params", fps=2, prompt="Say what you see.", batch_size=16)
        params = client.hear_type("params")["params"]
        equal((params["fps"], params["prompt"], params["frame_batch_size"]), (2, "Say what you see.", 16))
        send_all(client, colours(3))
        client.say(type="params", language="ja")
        equal(client.hear_type("params")["params"]["lang"], "ja")
        client.say(type="params", fps=0)
        error = client.hear_type("error")
        equal((error["field"], error["detail"]), ("params.fps", "fps must be a number from 0.01 to 60"))
        client.say(type="params", loop=True)
        contains(client.hear_type("error")["detail"], "loop", "while the stream runs")
        client.say(type="params", port=80)
        contains(client.hear_type("error")["detail"], "port")
        send_all(client, colours(3), start=3)
        client.say(type="end")
        client.drain()
        equal(client.of("caption")[-1]["data"]["lang"], "ja")


def test_a_stream_of_the_api(case: Case):
    """Made over HTTP, filled over the WebSocket; one client at a time."""
    with Server(case) as server:
        equal(server.request("POST", "/v1/streams", {"id": "yard", "source": "push", "params": {"fps": 5}})[0], 201)
        wait_until("waiting", lambda: server.stream("yard")["state"] == "waiting")
        with Client(server) as client, Client(server) as other:
            client.say(type="hello", stream="yard")
            equal(client.hear_type("hello")["params"]["fps"], 5)
            equal(server.stream("yard")["state"], "running")
            other.say(type="hello", stream="yard")
            contains(other.hear_type("error")["detail"], "yard", "client")
            other.send(frame(0, 1, jpeg()))  # it gets a stream of its own
            other.hear_type("ack")
            send_all(client, colours(4))
            client.say(type="end")
            client.drain()
            equal(client.code, 1000)
        equal(server.stream("yard")["state"], "ended")


# ---- connections that are lost ----

def lose_and_resume(server, client, name, by):
    told = [m for m in client.messages if m["type"] == "caption"]
    client.cut()
    again = Client(server)
    if by == "id" and told:
        again.say(type="resume", stream=name, last_caption_id=told[-1]["id"])
    else:
        again.say(type="resume", stream=name, last_seq=told[-1]["seq"] if told else 0)
    answer = again.hear_type("resume")
    equal(answer["stream"], name)
    assert answer["clock_ms"] >= 0, answer
    again.messages = client.messages + again.messages
    return again


def test_resume_at_random_moments(case: Case):
    """The connection is lost again and again; every caption comes once, all are in the timeline."""
    for seed in range(6 if LONG else 2):
        luck = random.Random(seed)
        with Server(case, "--frame-batch-size", 6, "--caption-min", "1", "--db", case.path(f"{seed}.db")) as server:
            client = Client(server)
            client.say(type="hello", stream="lost")
            client.hear_type("hello")
            pictures = colours(90, change=4)
            for i, picture in enumerate(pictures):
                client.send(frame(i, ZERO + i * 0.5, picture))
                if luck.random() < 0.7:
                    client.hear(0.01)
                if i % 4 == 3:
                    keep_pace(server, "lost", (i - 4) * 500)
                if luck.random() < 0.12:
                    client = lose_and_resume(server, client, "lost", luck.choice(("id", "seq")))
            client.say(type="end")
            client.drain()
            equal(client.code, 1000)
            captions = client.of("caption")
            told = check_captions(captions)
            assert len(told) >= 15, len(told)
            check_kept(server, "lost", told)
            client.cut()
            check_sum(server.stream("lost")["counters"])


def test_resume_takes_over(case: Case):
    """The server may not know yet that the connection was lost."""
    with Server(case) as server, Client(server) as old, Client(server) as new:
        old.say(type="hello", stream="twin")
        old.hear_type("hello")
        send_all(old, colours(2))
        new.say(type="resume", stream="twin", last_seq=0)
        new.hear_type("resume")
        old.drain()
        equal(old.code, 1008)
        new.send(frame(2, ZERO + 1, jpeg()))
        new.hear_type("ack")
        equal(server.stream("twin")["state"], "running")


def test_a_client_that_stays_away(case: Case):
    with Server(case, "--resume-window", "300ms") as server:
        client = Client(server)
        client.say(type="hello", stream="gone")
        client.hear_type("hello")
        send_all(client, colours(8))
        wait_until("frames", lambda: server.stream("gone")["counters"]["received"] == 8)
        client.cut()
        wait_until("the end", lambda: server.stream("gone")["state"] == "ended")
        kept = server.captions("gone")
        assert kept, "what it sent is captioned"
        with Client(server) as late:  # what it missed is there for it
            late.say(type="resume", stream="gone", last_seq=0)
            late.hear_type("resume")
            for caption in kept:
                equal(late.hear_type("caption")["id"], caption["id"])
            late.send(frame(20, ZERO + 20, jpeg("blue")))
            late.hear_type("ack")
            late.say(type="end")
            late.drain()
            more = late.of("caption")[len(kept):]
            assert more and all(int(m["id"]) > int(kept[-1]["id"]) for m in more), more
            assert all(m["seq"] > kept[-1]["seq"] for m in more), more
        equal(server.request("GET", "/v1/streams/nowhere")[0], 404)


def test_state_while_away(case: Case):
    with Server(case) as server:
        client = Client(server)
        client.say(type="hello", stream="away")
        client.hear_type("hello")
        send_all(client, colours(2))
        client.cut()
        wait_until("waiting", lambda: server.stream("away")["state"] == "waiting")
        with Client(server) as again:
            again.say(type="resume", stream="away")
            again.hear_type("resume")
            equal(server.stream("away")["state"], "running")


def test_killed_server(case: Case):
    """kill -9: what a client was sent is in the timeline once; the stream goes on by its resume."""
    luck = random.Random(5)
    server = Server(case, "--frame-batch-size", 4, "--caption-min", "1")
    client = Client(server)
    client.say(type="hello", stream="phoenix")
    client.hear_type("hello")
    index, rounds = 0, 5 if LONG else 2
    for _ in range(rounds):
        for picture in colours(luck.randrange(12, 30), change=4):
            client.send(frame(index, ZERO + index * 0.5, picture))
            client.hear(0.02)
            if index % 4 == 3:
                keep_pace(server, "phoenix", (index - 4) * 500)
            index += 1
        if luck.random() < 0.5:
            client.hear_type("caption")
        server.kill()
        while client.code is None:  # what was on its way still counts
            client.hear()
        heard = client.messages
        server.start()
        kept = {c["id"]: c for c in server.captions("phoenix")}
        for m in heard:
            if m["type"] == "caption":
                contains(list(kept), m["id"])
                assert kept[m["id"]]["seq"] >= m["seq"], (m, kept[m["id"]])
        last = max((m["seq"] for m in heard if m["type"] == "caption"), default=0)
        client = Client(server)
        client.say(type="resume", stream="phoenix", last_seq=last)
        client.hear_type("resume")
        client.messages = heard + client.messages
    for picture in colours(8):
        client.send(frame(index, ZERO + index * 0.5, picture))
        client.hear(0.01)
        index += 1
    client.say(type="end")
    client.drain()
    told = check_captions(client.of("caption"))
    check_kept(server, "phoenix", told)
    times = sorted((m["start_ms"], m["end_ms"]) for m in told.values())
    for (_, end), (start, _) in zip(times, times[1:]):
        assert start >= end - 1, f"captions do not overlap: {times}"
    assert times[-1][1] <= (index + 1) * 500 + 1000, "one clock, before and after"
    equal(server.stop(), 0)


def test_resume_of_what_is_not_there(case: Case):
    with Server(case) as server, Client(server) as client:
        client.say(type="resume", stream="nobody")
        contains(client.hear_type("error")["detail"], "nobody", "not known")
        client.say(type="resume")
        equal(client.hear_type("error")["field"], "stream")
        client.say(type="resume", stream="../etc")
        equal(client.hear_type("error")["field"], "stream")
        client.say(type="resume", stream="x", last_seq=-1)
        equal(client.hear_type("error")["field"], "last_seq")
        client.send(frame(0, 1, jpeg()))
        client.hear_type("ack")
        client.say(type="hello")
        contains(client.hear_type("error")["detail"], "already")


# ---- slow clients ----

def test_slow_reader(case: Case):
    """One that does not read for a while: acks are put together, captions are all there."""
    with Server(case, "--frame-batch-size", 4, "--caption-min", "1") as server:
        client = Client(server, max_queue=1, read_limit=1024, receive_buffer=4096)
        quick = Client(server)
        client.say(type="hello", stream="slow", binary=True)
        client.hear_type("hello")
        small = [jpeg(c, (64, 48)) for c in ("red", "green", "blue")]
        n = 12000 if LONG else 4000
        for i in range(n):
            client.send(packet(i, ZERO + i * 0.05, small[i // 40 % 3]))
            if i % 500 == 0:  # others do not notice
                quick.send(frame(i, ZERO + i, jpeg()))
                equal(quick.hear_type("ack")["frame_index"], i)
        client.say(type="flush")
        client.say(type="end")
        client.drain()
        acks = client.of("ack")
        equal(sum(a["frames"] for a in acks), n, "every frame is acknowledged once")
        equal(acks[-1]["frame_index"], n - 1)
        told = check_captions(client.of("caption"))
        check_kept(server, "slow", told)
        check_sum(server.stream("slow")["counters"])
        quick.cut()


def test_acks_that_nobody_reads(case: Case):
    """Where there is little room, they are put together, too, and cost nobody the connection."""
    with Server(case, "--backlog-max", 4096) as server:
        client = Client(server, max_queue=1, read_limit=1024, receive_buffer=4096)
        client.say(type="hello", stream="quiet", binary=True)
        client.hear_type("hello")
        picture, n = jpeg("red", (64, 48)), 4000
        for i in range(n):
            client.send(packet(i, ZERO + i * 0.05, picture))
        client.say(type="end")
        client.drain()
        equal(client.code, 1000)
        equal(sum(a["frames"] for a in client.of("ack")), n)


def test_one_that_never_reads(case: Case):
    """It is cut once its captions do not fit any more, and can resume."""
    with Server(case, "--backlog-max", 4096, "--frame-batch-size", 2, "--caption-min", "0") as server:
        client = Client(server, max_queue=1, read_limit=1024, receive_buffer=4096)
        client.say(type="hello", stream="deaf", binary=True)
        client.hear_type("hello")
        pictures = [jpeg(c, (64, 48)) for c in ("red", "green", "blue")]
        index = 0
        try:
            while server.stream("deaf")["state"] != "waiting" and index < 60000:
                for _ in range(200):
                    client.send(packet(index, ZERO + index, pictures[index // 2 % 3]))
                    index += 1
        except Exception as why:  # the connection is gone: what this test waits for
            contains(type(why).__name__, "ConnectionClosed")
        wait_until("the cut", lambda: server.stream("deaf")["state"] == "waiting")
        with Client(server) as again:
            again.say(type="resume", stream="deaf", last_seq=0)
            again.hear_type("resume")
            again.say(type="end")
            again.drain()
            told = check_captions(again.of("caption"))
            check_kept(server, "deaf", told)


# ---- bad messages ----

def bad_messages():
    """(message, words of the answer, field)"""
    good = base64.b64encode(jpeg()).decode()
    frame_of = lambda **members: json.dumps({"type": "frame", "frame_index": 1, "timestamp": 5.0, "image_base64": good,
                                             **members})
    without = lambda *names: json.dumps({k: v for k, v in json.loads(frame_of()).items() if k not in names})
    text = lambda value: base64.b64encode(value).decode()
    whole = jpeg()
    yield "", [], None
    yield "nonsense", [], None
    yield "null", [], None
    yield "42", [], None
    yield '"frame"', [], None
    yield "[]", ["object"], None
    yield "{}", ["type", "missing"], "type"
    yield '{"type":null}', ["type"], "type"
    yield '{"type":7}', ["type", "string"], "type"
    yield '{"type":["frame"]}', ["type"], "type"
    yield '{"type":"frmae"}', ["frmae", "not known"], "type"
    yield '{"type":"Frame"}', ["Frame"], "type"
    yield '{"type":""}', ["type"], "type"
    yield '{"type":"frame"}', ["timestamp", "missing"], "timestamp"
    yield without("timestamp"), ["timestamp", "missing"], "timestamp"
    yield without("image_base64"), ["image_base64", "missing"], "image_base64"
    yield frame_of(timestamp="5.0"), ["timestamp"], "timestamp"
    yield frame_of(timestamp=None), ["timestamp"], "timestamp"
    yield frame_of(timestamp=-1), ["timestamp"], "timestamp"
    yield frame_of(timestamp=1e12), ["timestamp"], "timestamp"
    yield frame_of(timestamp=[5]), ["timestamp"], "timestamp"
    yield frame_of().replace("5.0", "NaN"), [], None
    yield frame_of().replace("5.0", "Infinity"), [], None
    yield frame_of().replace("5.0", "1e999"), [], None
    yield frame_of().replace("5.0", "0x5"), [], None
    yield frame_of(frame_index=-1), ["frame_index"], "frame_index"
    yield frame_of(frame_index=1.5), ["frame_index"], "frame_index"
    yield frame_of(frame_index="1"), ["frame_index"], "frame_index"
    yield frame_of(frame_index=1 << 40), ["frame_index"], "frame_index"
    yield frame_of(image_base64=7), ["image_base64"], "image_base64"
    yield frame_of(image_base64=""), ["image_base64"], "image_base64"
    yield frame_of(image_base64="%%%%"), ["base64"], "image_base64"
    yield frame_of(image_base64=good[:-1]), ["base64"], "image_base64"
    yield frame_of(image_base64=good + "\n"), ["base64"], "image_base64"
    yield frame_of(image_base64="data:image/jpeg;base64," + good), ["base64"], "image_base64"
    yield frame_of(image_base64=text(b"not a picture at all")), ["JPEG"], "image_base64"
    yield frame_of(image_base64=text(b"\x89PNG\r\n\x1a\n" + b"x" * 99)), ["JPEG"], "image_base64"
    yield frame_of(image_base64=text(whole[:40])), [], "image_base64"
    yield frame_of(image_base64=text(b"\xff\xd8\xff\xd9")), [], "image_base64"
    huge = whole.replace(struct.pack(">HH", 240, 320), struct.pack(">HH", 65500, 65500), 1)
    assert huge != whole
    yield frame_of(image_base64=text(huge)), ["pixels", "max_pixels"], "image_base64"
    yield frame_of(image_base64=text(whole + b"\0" * (5 << 20))), ["frame_max"], "image_base64"
    yield frame_of(image_base64="A" * (7 << 20)), ["frame_max"], "image_base64"
    yield "[" * 100_000, ["levels"], None
    yield '{"type":"frame","x":' + "[" * 100_000 + "]" * 100_000 + "}", ["levels"], None
    yield '{"type":"flush","x":' + '{"a":' * 500 + "1" + "}" * 500 + "}", ["levels"], None
    yield frame_of()[:-1] + ',"timestamp":6}', ["duplicate key"], None
    yield '{"type":"flush","type":"end"}', ["duplicate key"], None
    yield frame_of().replace('"type"', '"ty\\ud800pe"'), ["surrogate"], None
    yield '{"type":"\\ud800"}', ["surrogate"], None
    yield '{"type":"fl\\u0000ush"}', [], None
    yield '{"type":"hello","stream":"a b"}', ["stream"], "stream"
    yield '{"type":"hello","stream":""}', ["stream"], "stream"
    yield '{"type":"hello","stream":"' + "a" * 65 + '"}', ["stream"], "stream"
    yield '{"type":"hello","stream":7}', ["stream"], "stream"
    yield '{"type":"hello","binary":"yes"}', ["binary"], "binary"
    yield '{"type":"hello","params":[]}', ["params"], "params"
    yield '{"type":"params","fps":"fast"}', ["fps"], "params.fps"
    yield '{"type":"params","fps":1e9}', ["fps"], "params.fps"
    yield '{"type":"params","frame_batch_size":0}', ["frame_batch_size"], "params.frame_batch_size"
    yield '{"type":"params","lang":"fr"}', ["lang"], "params.lang"
    yield '{"type":"params","prompt":"' + "p" * 20000 + '"}', ["prompt"], "params.prompt"
    yield '{"type":"params","gemini_api_key":"x"}', ["gemini_api_key"], None
    yield '{"type":"params","fps":{"a":1}}', ["fps"], "params.fps"
    yield packet(1, 5.0, whole), ["hello", "binary"], "binary"


def test_bad_messages(case: Case):
    """Each is answered with a sentence; the connection stays, and so does the one beside it."""
    with Server(case) as server, Client(server) as client, Client(server) as other:
        n = 0
        for i, (message, words, field) in enumerate(bad_messages()):
            client.send(message)
            error = client.hear_type("error")
            shown = f"{str(message)[:60]!r}: {error}"
            assert error["detail"] and len(error["detail"]) < 400 and not error["detail"].endswith("."), shown
            for word in words:
                assert word in error["detail"], f"{word!r} is not in the answer to {shown}"
            equal(error.get("field"), field, shown)
            other.send(frame(i, ZERO + i, jpeg()))
            equal(other.hear_type("ack")["frame_index"], i)
            n += 1
        assert n >= 40, n
        client.send(frame(0, ZERO, jpeg()))
        equal(client.hear_type("ack")["frame_count"], 1)
        equal(other.of("error"), [])


def test_a_clock_that_jumps_back(case: Case):
    with Server(case) as server, Client(server) as client:
        client.send(frame(0, ZERO + 10, jpeg()))
        client.hear_type("ack")
        for late in (ZERO + 10, ZERO + 9.5, 0):
            client.send(frame(1, late, jpeg()))
            error = client.hear_type("error")
            equal(error["field"], "timestamp")
            contains(error["detail"], "not later")
        client.send(frame(1, ZERO + 10.5, jpeg()))
        equal(client.hear_type("ack")["frame_count"], 2)
        name = server.get("/v1/streams")["streams"][0]["id"]
        counters = server.stream(name)["counters"]
        equal((counters["received"], counters["refused"]), (2, 3))
        check_sum(counters)


def test_bad_packets(case: Case):
    with Server(case) as server, Client(server) as client:
        client.say(type="hello", binary=True)
        client.hear_type("hello")
        good = jpeg()
        for message in (b"", b"x", packet(1, 1.0, good)[:15], packet(1, 1.0, good)[:-1], packet(1, 1.0, good) + b"x",
                        struct.pack("!IdI", 1, 1.0, 1 << 31) + good, packet(1, float("nan"), good),
                        packet(1, float("inf"), good), packet(1, -1.0, good), packet(1, 1.0, b"not a picture"),
                        packet(1, 1.0, b"")):
            client.send(message)
            assert client.hear_type("error")["detail"]
        client.send(packet(1, 1.0, good))
        equal(client.hear_type("ack")["frame_index"], 1)
        client.send(frame(2, 2.0, good))  # both ways are fine from now on
        equal(client.hear_type("ack")["frame_index"], 2)


def test_over_the_message_limit(case: Case):
    """RFC 6455 has a code for it: 1009. Others stay."""
    with Server(case) as server, Client(server) as client, Client(server) as other:
        other.send(frame(0, 1, jpeg()))
        other.hear_type("ack")
        try:
            client.send('{"type":"frame","image_base64":"' + "A" * (10 << 20) + '"}')
        except Exception as why:
            contains(type(why).__name__, "ConnectionClosed")
        client.drain()
        contains([1009, 1006], client.code)
        other.send(frame(1, 2, jpeg()))
        other.hear_type("ack")


def test_after_the_end(case: Case):
    with Server(case) as server, Client(server) as client:
        send_all(client, colours(3))
        client.say(type="end")
        client.send(frame(3, ZERO + 9, jpeg()))
        client.drain()
        equal(client.code, 1000)
        equal(sum(a["frames"] for a in client.of("ack")), 3)


def test_two_streams(case: Case):
    with Server(case) as server, Client(server) as a, Client(server) as b:
        for i in range(10):
            a.send(frame(i, ZERO + i, jpeg("red")))
            b.send(frame(i, ZERO + i, jpeg("blue")))
        for client in (a, b):
            client.say(type="end")
            client.drain()
        texts = [{m["data"]["text"] for m in c.of("caption")} for c in (a, b)]
        assert texts[0] and texts[1] and not texts[0] & texts[1], texts
        names = [{m["data"]["stream"] for m in c.of("caption")} for c in (a, b)]
        assert len(names[0]) == len(names[1]) == 1 and names[0] != names[1], names


def test_limits_of_streams(case: Case):
    with Server(case, "--streams-max", 1) as server, Client(server) as a, Client(server) as b:
        a.send(frame(0, 1, jpeg()))
        a.hear_type("ack")
        b.send(frame(0, 1, jpeg()))
        contains(b.hear_type("error")["detail"], "streams_max")
        status, answer, head = server.request("POST", "/v1/streams", {"source": "push"})
        equal((status, answer["error"]["code"]), (503, "unavailable"))
        assert int(head.getheader("Retry-After")) > 0
        a.say(type="end")
        a.drain()
        b.send(frame(1, 2, jpeg()))
        b.hear_type("ack")


def test_drain(case: Case):
    """SIGTERM: what is known is captioned, clients are told, and the stream goes on after the next start."""
    server = Server(case)
    with Client(server) as client:
        client.say(type="hello", stream="tide")
        client.hear_type("hello")
        send_all(client, colours(8))
        equal(server.stop(), 0)
        client.drain()
        equal(client.code, 1001)
        told = check_captions(client.of("caption"))
        assert told
    server.start()
    with Client(server) as client:
        check_kept(server, "tide", told)
        client.say(type="resume", stream="tide", last_seq=max(m["seq"] for m in told.values()))
        client.hear_type("resume")
        client.send(frame(100, ZERO + 100, jpeg()))
        client.hear_type("ack")
        equal(client.of("caption"), [])
    equal(server.stop(), 0)


main([v for k, v in list(globals().items()) if k.startswith("test_")])
