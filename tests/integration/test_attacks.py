"""Hostile words through every output, hostile names through every input, and pictures that are bombs."""
import contextlib
import json
import pathlib
import re
import socket
import struct
import sys
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "language"))

from fault_server import KEY, FaultServer
from live import PATIENCE, Client, Server, frame, jpeg, keep_pace, packet, quote, wait_until
from tap import Case, equal, ffmpeg, main

ZERO = 1_790_000_000.0

# Words that mean something to a terminal, a browser, a subtitle player, a log, a model.
HOSTILE = {
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://evil/\x1b\\link \x9b2J end",
    "arrow": "before\n\n00:00:00.000 --> 99:59:59.000\nforged cue --> here",
    "lines": "one\r\ntwo\n\n\nthree\rfour\n\nWEBVTT\n\nNOTE x\n\nSTYLE\n::cue{}\n\n7\n00:00:01,000 --> 00:00:02,000\nfive",
    "html": "<b>bold</b> & <script>alert(1)</script> <img src=x onerror=alert(1)> &lt;i&gt; {\\an8}<c.red>x</c> </v>",
    "separators": "a\u2028b\u2029c\u0085d\u000be\u000cf",
    "bidi": "\u202egnp.exe\u202c \u2066x\u2069 \u200f\u061c \u2068y",
    "escapes": "nul \\u0000 \x00 bell \x07 back \x08\x08 del \x7f",
    "json": '"}],"type":"error","x":[{"\\": "\' \\n data: x\n\nevent: bye\ndata: {}\n\nid: 99999\n\n',
    "markers": "<|im_start|>system [INST] <start_of_turn>user <<SYS>> </s> ```json {\"events\":[]}```",
    "unicode": "\ufeff\ufffe\U0010ffff zero\u200bwidth e\u0301\u0301\u0301 \U0001f469\u200d\U0001f469\u200d\U0001f467 \u3042",
    "blank": " \t \n ",
    "long": "word " * 30000,
    "huge": "x" * 1_000_000,
}


def check_plain(text, what, breaks="\n"):
    """Nothing that a terminal obeys or that changes how a line is read."""
    for c in text:
        assert c in breaks or (unicodedata.category(c) not in ("Cc", "Cs") and c not in "\u2028\u2029\u202a\u202b\u202d\u202e"
                               "\u2066\u2067\u061c\u200e\u200f"), f"{what}: {c!r} in {text[:300]!r}"


TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"


def parse_vtt(text):
    """Cues (id, start, end, lines) by the grammar of WebVTT, anything else being a failure."""
    assert "\r" not in text and "\0" not in text and text.endswith("\n"), text[-50:]
    head, *blocks = re.split(r"\n\n+", text.rstrip("\n"))
    assert re.fullmatch(r"WEBVTT(\nLanguage: [A-Za-z0-9-]+)?", head), head
    cues = []
    for block in blocks:
        lines = block.split("\n")
        if lines[0].startswith("NOTE"):
            assert "-->" not in block, block
            continue
        assert len(lines) >= 2 and "-->" not in lines[0], block
        times = re.fullmatch(f"{TIME} --> {TIME}", lines[1])
        assert times, block
        numbers = [int(x) for x in times.groups()]
        start, end = (((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:]))
        assert start < end, block
        for line in lines[2:]:
            assert line and "-->" not in line and "<" not in line, line[:200]
            assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt|lrm|rlm|nbsp|#\d+);)*", line), line[:200]
        cues.append((lines[0], start, end, lines[2:]))
    return cues


def parse_srt(text):
    cues = []
    for number, block in enumerate(text.replace("\r\n", "\n").rstrip("\n").split("\n\n"), 1):
        lines = block.split("\n")
        equal(lines[0], str(number))
        assert re.fullmatch(r"\d{2,}:\d\d:\d\d,\d{3} --> \d{2,}:\d\d:\d\d,\d{3}", lines[1]), block
        for line in lines[2:]:
            assert line.strip() and "-->" not in line and "<" not in line and "{\\" not in line, line[:200]
        cues.append(lines)
    return cues


def test_hostile_words_of_a_model(case: Case):
    """Whatever a model says: each output keeps its form."""
    with FaultServer() as remote:
        options = ["--backend", "gemini", "--outbound-allow", "loopback", "--gemini-url", remote.url,
                   "--frame-batch-size", "100", "--caption-min", "1", "--print-captions", "--backend-answer", "8MiB",
                   "--log-level", "debug"]
        with Server(case, *options, environment={"GEMINI_API_KEY": KEY}) as server:
            for name, words in HOSTILE.items():
                remote.state.text = json.dumps({"events": [
                    {"start_frame": 0, "end_frame": 1, "text": words, "confidence": 0.9},
                    {"start_frame": 2, "end_frame": 3, "text": f"zebra {words}", "confidence": 0.9}]})
                with Client(server) as client:
                    client.say(type="hello", stream=name, params={"prompt": words[:5000].replace("\0", "")})
                    client.hear_type("hello")
                    for i in range(4):
                        client.send(frame(i, ZERO + i / 2, jpeg(("red", "blue")[i // 2])))
                        keep_pace(server, name, i * 500)
                    client.say(type="end")
                    client.drain()
                    equal((client.code, client.of("error")), (1000, []), name)
                    told = client.of("caption")
                assert told, name
                captions = server.captions(name)
                for caption in captions + [m["data"] for m in told]:
                    check_plain(caption["text"], f"{name}: JSON")
                    assert len(caption["text"].encode()) <= 4096, (name, len(caption["text"]))
                with server.events(f"/v1/streams/{name}/events", 0) as events:
                    heard = list(events)
                equal([e[0] for e in heard if e[0] == "bye"], ["bye"], name)
                equal([e[2]["text"] for e in heard if e[0] == "caption"][-len(captions):], [c["text"] for c in captions])
                cues = parse_vtt(server.get(f"/v1/streams/{name}/captions?format=vtt").decode())
                equal([(c[0], c[1], c[2]) for c in cues], [(c["id"], c["start_ms"], c["end_ms"]) for c in captions], name)
                equal(len(parse_srt(server.get(f"/v1/streams/{name}/captions?format=srt").decode())), len(captions), name)
                if name not in ("blank", "long", "huge"):
                    for hit in server.get(f"/v1/search?q=zebra&stream={name}")["hits"]:
                        check_plain(hit["snippet"].replace("\u2068", "").replace("\u2069", ""), f"{name}: snippet")
                for form in ("text", "vtt", "srt", "jsonl"):
                    result = case.run("captions", name, "--format", form)
                    equal(result.status, 0, result.err)
                    check_plain(result.out, f"{name}: captions as {form}", "\n\r")
                result = case.run("search", "zebra", "--stream", name)
                check_plain(result.out, f"{name}: search", "\n\u2068\u2069")
            asked = [e for e in remote.state.log if e["kind"] == "generate"]
            equal([e["problems"] for e in asked if e["problems"]], [], "what is asked keeps its form, too")
            check_plain("".join(server.out), "the terminal")
            check_plain("".join(server.lines), "the log")
            equal(len([x for x in server.out if re.match(r"[a-z]+  \[", x)]), len(server.out), "a line for each caption")


def raw(server, data, timeout=PATIENCE):
    """What is answered to these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as client:
        client.sendall(data)
        answer = b""
        with contextlib.suppress(OSError):
            while chunk := client.recv(65536):
                answer += chunk
    return answer


def test_hostile_names(case: Case):
    """In paths, queries, headers and ids: refused with a sentence in JSON, or taken for what they are."""
    words = [w.encode() for w in HOSTILE.values() if len(w) < 2000] + [
        b"../../etc/passwd", b"..%2f..%2fetc%2fpasswd", b"%00", b"%ff%fe", b"%c0%ae%c0%ae/", b"\xff\xfe\xc0\xaf", b"%", b"%zz",
        b"a" * 3000, b"' OR 1=1 --", b"'; DROP TABLE captions; --", b"* NEAR( \"", b"\"\"\"", b"text:x", b"{}^", b"-", b"*"]
    with Server(case, "--log-level", "debug") as server, Client(server) as client:
        client.say(type="hello", stream="here")
        client.hear_type("hello")
        client.send(frame(0, ZERO, jpeg()))
        client.hear_type("ack")
        for word in words:
            for path in (b"/v1/streams/%s", b"/v1/streams/%s/captions", b"/v1/streams/here/frames/%s.jpg", b"/%s",
                         b"/v1/streams/here/captions?format=%s", b"/v1/streams/here/captions?from=%s", b"/v1/search?q=%s",
                         b"/v1/search?q=x&stream=%s", b"/v1/uploads/%s", b"/v1/streams?token=%s"):
                target = path % "".join(f"%{b:02x}" for b in word).encode()
                status = raw(server, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert re.match(rb"HTTP/1\.1 (200|400|401|404|405|414|431) ", status), (target[:200], status[:200])
                head, _, body = status.partition(b"\r\n\r\n")
                assert all(32 <= b < 127 for line in head.split(b"\r\n") for b in line), head
                if b"application/json" in head and body:
                    json.loads(body)
            plain = word.replace(b"\r", b" ").replace(b"\n", b" ").replace(b"\0", b" ")[:3000]
            for header in (b"Last-Event-ID", b"User-Agent", b"Origin", b"Referer", b"X-API-Key", b"Authorization", b"Host",
                           b"If-None-Match", b"Accept", b"Range", b"X-Forwarded-For", b"Cookie"):
                for path in (b"/healthz", b"/v1/streams"):
                    base = b"" if header == b"Host" else b"Host: localhost\r\n"
                    answer = raw(server, b"GET " + path + b" HTTP/1.1\r\n" + base + header + b": " + plain +
                                 b"\r\nConnection: close\r\n\r\n")
                    assert re.match(rb"HTTP/1\.1 (200|206|304|400|401|403|416|421|431) ", answer), (header, plain[:99], answer[:99])
                    head = answer.partition(b"\r\n\r\n")[0]
                    assert plain[:40] not in head or len(plain) < 3, (header, head)
            text = word.decode("latin-1")
            for body in ({"source": "push", "id": text}, {"source": text}, {"source": "push", "params": {text: 1}},
                         {"source": "push", text: 1}, {"source": "upload:" + text}, {"source": "push", "params": {"lang": text}}):
                status, answer, _ = server.request("POST", "/v1/streams", body)
                if status == 201:  # "*" and the like are no ids; "x" would be
                    server.request("DELETE", f"/v1/streams/{answer['id']}?captions=delete")
                    continue
                assert status in (400, 403, 404, 413, 415), (body, status, answer)
                check_plain(answer["error"]["message"], "an error")
            for message in ({"type": text}, {"type": "resume", "stream": text}, {"type": "params", text: 1},
                            {"type": "params", "lang": text}, {"type": "resume", "stream": "here", "last_caption_id": text}):
                client.say(**message)
                check_plain(client.hear_type("error")["detail"], "an error over the WebSocket")
            client.say(type="params", prompt=text[:5000])
            client.hear_type("params" if "\0" not in text else "error")
        client.send(frame(1, ZERO + 1, jpeg()))
        equal(client.hear_type("ack")["frame_count"], 2)
        equal([s["id"] for s in server.get("/v1/streams")["streams"]], ["here"])
        equal(server.get("/healthz")["status"], "ok")
        check_plain("".join(server.lines), "the log")


# ---- pictures ----

def with_size(picture, width, height):
    """Its frame header says another size."""
    for marker in (b"\xff\xc0", b"\xff\xc2", b"\xff\xc1"):
        at = picture.find(marker)
        if at >= 0:
            return picture[:at + 5] + struct.pack(">HH", height, width) + picture[at + 9:]
    raise AssertionError("no frame header")


def with_segment(picture, marker, content):
    return picture[:2] + struct.pack(">BBH", 255, marker, len(content) + 2) + content + picture[2:]


def exif(orientation, order="II"):
    mark = "<" if order == "II" else ">"
    tiff = order.encode() + struct.pack(mark + "HI", 42, 8) + struct.pack(mark + "HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    return b"Exif\0\0" + tiff


def pictures(case):
    """(name, bytes, whether it may be taken: what is damaged inside is found by the worker, and counted)"""
    whole = jpeg("red", (320, 240))
    made = case.path("x.jpg")

    def make(*arguments):
        ffmpeg(*arguments, "-frames:v", 1, made)
        return pathlib.Path(made).read_bytes()

    colour = lambda size: ("-f", "lavfi", "-i", f"color=c=blue:s={size}")
    noise = make("-f", "lavfi", "-i", "testsrc=s=640x360", "-q:v", 2)
    yield "whole", whole, True
    yield "65500 x 65500", with_size(whole, 65500, 65500), False
    yield "65535 x 65535", with_size(whole, 65535, 65535), False
    yield "65500 x 1", with_size(whole, 65500, 1), True
    yield "1 x 65500", with_size(whole, 1, 65500), True
    yield "0 x 0", with_size(whole, 0, 0), False
    yield "320 x 0", with_size(whole, 320, 0), False
    yield "6000 x 6000 with little behind it", with_size(whole, 6000, 6000), True
    yield "1 x 1", make(*colour("2x2"), "-vf", "scale=1:1"), True
    yield "8000 x 10", make(*colour("8000x10")), True
    yield "10 x 8000", make(*colour("10x8000")), True
    yield "gray", make(*colour("320x240"), "-pix_fmt", "gray"), True
    yield "4:4:4", make(*colour("320x240"), "-pix_fmt", "yuvj444p"), True
    png = case.path("x.png")
    ffmpeg(*colour("64x64"), "-frames:v", 1, png)
    yield "PNG", pathlib.Path(png).read_bytes(), False
    for name, content in (("GIF", b"GIF89a" + b"\1" * 60), ("zip", b"PK\3\4" + b"\0" * 60), ("HTML", b"<html><body>" * 9),
                          ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("zeros", bytes(5000)), ("one byte", b"\xff"),
                          ("SOI alone", b"\xff\xd8"), ("SOI and EOI", b"\xff\xd8\xff\xd9"),
                          ("fill", b"\xff\xd8" + b"\xff" * 60000), ("PNG that begins as a JPEG", b"\xff\xd8\xff" + b"\x89PNG" * 30)):
        yield name, content, False
    for part in range(1, 20):
        yield f"cut after {part}/20", noise[:len(noise) * part // 20], True
    for cut in (3, 10, 20, 100, 160, 300):
        yield f"cut after {cut} bytes", noise[:cut], True
    for orientation in (*range(1, 9), 0, 9, 65535):
        for order in ("II", "MM"):
            yield f"EXIF {orientation} {order}", with_segment(whole, 0xE1, exif(orientation, order)), True
    yield "EXIF that points outside", with_segment(whole, 0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(20)), True
    yield "EXIF with 65535 entries", with_segment(whole, 0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20)), True
    yield "ICC that is none", with_segment(whole, 0xE2, b"ICC_PROFILE\0\1\1" + bytes(500)), True
    yield "a comment of 60 KB", with_segment(whole, 0xFE, b"\x1b[31m<script>" * 4500), True
    yield "hundreds of segments", whole[:2] + struct.pack(">BBH", 255, 0xE5, 2) * 900 + whole[2:], True
    yield "a segment of no length", whole[:2] + b"\xff\xe5\0\0" + whole[2:], False
    yield "a segment past the end", whole[:2] + b"\xff\xe5\xff\xff" + whole[2:40], False
    at = whole.find(b"\xff\xc0")
    yield "255 components", whole[:at + 9] + b"\xff" + whole[at + 10:], False
    yield "no components", whole[:at + 9] + b"\0" + whole[at + 10:], False
    yield "12 bits", whole[:at + 4] + b"\x0c" + whole[at + 5:], True
    yield "lossless", whole[:at + 1] + b"\xc3" + whole[at + 2:], True
    yield "arithmetic", whole[:at + 1] + b"\xc9" + whole[at + 2:], True
    yield "sampling of 15", whole[:at + 11] + b"\xff" + whole[at + 12:], True
    yield "no quantization", whole.replace(b"\xff\xdb", b"\xff\xef"), True
    yield "no Huffman tables", whole.replace(b"\xff\xc4", b"\xff\xef"), True
    cmyk = at + 9
    four = whole[:at + 2] + struct.pack(">H", 20) + whole[at + 4:cmyk] + b"\4" + b"".join(
        bytes([i, 0x11, 0]) for i in range(1, 5)) + whole[at + 19:]
    yield "four components", four, True
    yield "CMYK as Adobe has it", with_segment(four, 0xEE, b"Adobe\0\x64\0\0\0\0\2"), True
    yield "trailing bytes", whole + b"\0" * 10000, True
    yield "two pictures", whole + noise, True
    yield "exactly 4 MiB", whole + b"\0" * ((4 << 20) - len(whole)), True
    yield "4 MiB and one", whole + b"\0" * ((4 << 20) - len(whole) + 1), False
    yield "empty", b"", False


def progressive_bomb(scans=2000):
    """A progressive picture with thousands of scans over many pixels: each costs a pass over all of them."""
    out = b"\xff\xd8" + b"\xff\xdb\0\x43\0" + b"\1" * 64
    out += b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, 5000, 5000, 1) + b"\1\x11\0"
    out += b"\xff\xc4" + struct.pack(">H", 19 + 1) + b"\x10" + b"\1" + bytes(15) + b"\0"
    out += b"\xff\xc4" + struct.pack(">H", 19 + 1) + b"\0" + b"\1" + bytes(15) + b"\0"
    for i in range(scans):
        out += b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\1\0" + bytes([i % 63 + 1, i % 63 + 1, 0]) + b"\0"
    return out + b"\xff\xd9"


def test_pictures(case: Case):
    """As text and binary: taken, or an error that is a sentence; the one beside it does not notice, sums are exact."""
    with Server(case, "--frame-batch-size", 8) as server, Client(server) as other:
        other.say(type="hello", stream="beside")
        other.hear_type("hello")
        n = sent = 0
        for binary in (False, True):
            name = "binary" if binary else "text"
            taken = refused = index = 0
            with Client(server) as client:
                client.say(type="hello", stream=name, binary=binary)
                client.hear_type("hello")
                for what, content, may in [*pictures(case), ("many scans", progressive_bomb(), True)]:
                    index += 1
                    client.send((packet if binary else frame)(index, ZERO + index, content))
                    while (message := client.hear())["type"] not in ("ack", "error"):
                        pass
                    if message["type"] == "ack":
                        assert may, f"{what} is taken"
                        taken += 1
                    else:
                        detail = message["detail"]
                        assert 10 < len(detail) < 400 and not detail.endswith("."), (what, detail)
                        check_plain(detail, what)
                        refused += 1
                    if index % 5 == 0:
                        n += 1
                        other.send(frame(n, ZERO + n, jpeg(("blue", "green")[n % 2])))
                        equal(other.hear_type("ack")["frame_index"], n)
                    if taken % 3 == 0:  # four may wait: so that none is dropped unseen
                        wait_until("a look at it", lambda: server.stream(name)["counters"]["queued"] == 0)
                client.send((packet if binary else frame)(index + 1, ZERO + index + 1, jpeg("green")))
                client.say(type="end")
                client.drain()
                equal(client.code, 1000)
            counters = server.stream(name)["counters"]
            equal(counters["received"], taken + 1, name)
            equal(counters["refused"], refused - (not binary), "one text message held no picture at all")
            equal(counters["received"], sum(counters[k] for k in ("encoded", "gated", "late", "dropped", "queued")), counters)
            equal((counters["queued"], counters["worker_deaths"]), (0, 0), counters)
            equal(counters["dropped"], sum(counters["dropped_by"].values()), counters)
            assert counters["dropped_by"]["damaged"] > 0, counters
            sent += index
            assert server.captions(name), name
        other.say(type="end")
        other.drain()
        equal((other.code, other.of("error")), (1000, []))
        assert sent > 150, sent
        text = server.captions("beside")
        assert text and not any("strawberry" in c["text"].lower() for c in text), text
        equal(server.get("/healthz")["status"], "ok")


def test_rotated_pictures_are_whole(case: Case):
    """A picture on its side has the size that it is seen with."""
    with Server(case) as server:
        for orientation, size in ((1, (320, 240)), (6, (240, 320)), (3, (320, 240)), (8, (240, 320))):
            name = f"turned{orientation}"
            with Client(server) as client:
                client.say(type="hello", stream=name)
                client.hear_type("hello")
                client.send(frame(0, ZERO, with_segment(jpeg(), 0xE1, exif(orientation))))
                client.hear_type("ack")
                wait_until("the picture", lambda: server.stream(name)["clock_ms"] is not None)
                client.say(type="end")
                client.drain()
            equal(len(server.captions(name)), 1)
            status, picture, _ = server.request("GET", f"/v1/streams/{name}/frames/latest.jpg")
            equal((status, picture[:2]), (200, b"\xff\xd8"))
            found = re.search(rb"\xff[\xc0\xc2]..\x08(....)", picture, re.S)
            height, width = struct.unpack(">HH", found.group(1))
            equal((width, height), size, f"EXIF {orientation}")


if __name__ == "__main__":
    main([value for name, value in list(globals().items()) if name.startswith("test_")])
