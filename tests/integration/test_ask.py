"""Questions over the server: the colour model of the tiny models answers truly, so that what it says tells
what it was shown, through the whole chain: frames, tower, memory, router, decoder, answer."""
import contextlib
import http.client
import json
import os
import pathlib
import select
import signal
import socket
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "language"))

from fault_server import KEY, FaultServer
from live import Client, Server, frame, jpeg, read_events, wait_until
from tap import Case, Skip, contains, equal, main

MODELS = pathlib.Path(os.environ.get("MANAKO_TINY_MODELS", "/nonexistent"))
ZERO = 1_790_000_000.0
STEP = 5  # seconds between frames: longer than the gate lets a picture like the last one wait


NOT_BUILT = "no local vision-language model"


def with_model(case, *arguments):
    """A server with the colour model, ready; skips where the build has no local models."""
    folder = MODELS / "colour"
    if not (folder / "model.gguf").exists():
        raise Skip("the tiny models are not there")
    try:
        server = Server(case, "--model-path", folder, "--clip-timeout", "0.2", *arguments)
    except AssertionError as why:
        if NOT_BUILT in str(why):
            raise Skip("this build has no local models") from None
        raise
    try:
        wait_until("the model", lambda: ready(server))
    except BaseException:
        server.kill()
        raise
    return server


def auth(key):
    return {"Authorization": f"Bearer {key}"} if key else {}


def ready(server, headers=()):
    status, models, _ = server.request("GET", "/v1/models", headers=headers)
    if status in (401, 403):
        return True  # the case looks with a key of its own
    equal(status, 200, models)
    state = models["data"][0]["manako"]
    if NOT_BUILT in state["detail"]:
        raise Skip("this build has no local models")
    assert state["state"] != "failed", state
    return models["data"][0]["owned_by"] == "local" and state["state"] == "ready"


def memory(server, stream, headers=()):
    return server.get(f"/v1/streams/{stream}/memory", headers=headers)


class Camera(Client):
    """A pushed stream that shows plain colours; the model's green is ffmpeg's lime."""

    def __init__(self, server, stream, key=None, **hello):
        super().__init__(server, extra_headers=auth(key))
        self.server, self.stream, self.key, self.n = server, stream, key, 0
        self.say(type="hello", stream=stream, **hello)
        self.hear_type("hello")

    def show(self, *colours):
        """Returns when all of it is remembered."""
        for colour in colours:
            self.send(frame(self.n, ZERO + self.n * STEP, jpeg(colour)))
            self.hear_type("ack")
            self.n += 1
        wait_until("the memory", self.is_idle)

    def is_idle(self):
        seen, frames = self.server.get(f"/v1/streams/{self.stream}", headers=auth(self.key)), self.frames()
        return (seen["counters"]["encoded"] == self.n and frames["given"] == self.n
                and frames["encoded"] + frames["left_out"] == self.n)

    def frames(self):
        return memory(self.server, self.stream, auth(self.key))["frames"]


def ask(server, stream, question, key=None, **more):
    return server.request("POST", f"/v1/streams/{stream}/ask", {"question": question, **more}, headers=auth(key))


def answer_of(server, stream, question, **more):
    status, answer, _ = ask(server, stream, question, **more)
    equal(status, 200, answer)
    return answer


def refused(reply, status, *words):
    equal(reply[0], status, reply[1])
    contains(reply[1]["error"]["message"], *words)
    assert not reply[1]["error"]["message"].endswith("."), reply[1]


def key_file(case, **keys):
    """name=(scopes, limits): a file of keys, and their texts."""
    path, texts = case.path("keys.json"), {}
    for name, (scopes, _) in keys.items():
        made = case.run("keys", "new", name, "--scopes", scopes, "--keys", path)
        equal(made.status, 0, made.err)
        texts[name] = made.out.strip()
    content = json.loads(pathlib.Path(path).read_text())
    for entry in content["keys"]:
        entry.update(keys[entry["name"]][1])
    pathlib.Path(path).write_text(json.dumps(content))
    return path, texts


@contextlib.contextmanager
def streamed(server, path, body, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=90)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **dict(headers)})
    answer = connection.getresponse()
    try:
        yield answer
    finally:
        connection.close()


# ---- without a model ----

def test_the_timeline_answers(case: Case):
    """Without any model: whole, as events, for OpenAI's clients, and of a stream that has ended."""
    film = case.clip("film.mp4")
    with Server(case, film) as server:
        wait_until("its end", lambda: server.stream("film")["state"] == "ended")
        captions = server.captions("film")
        word = captions[0]["text"].rstrip(".").split()[-1]
        answer = answer_of(server, "film", f"where is the {word}?")
        equal((answer["backend"], answer["model"], answer["router"], answer["stream"]), ("timeline", "", "", "film"))
        contains(answer["text"], "No language model is configured", captions[0]["text"])
        found = next(e for e in answer["evidence"] if e["caption"] == captions[0]["id"])
        equal((found["start_ms"], found["end_ms"], found["why"]), (captions[0]["start_ms"], captions[0]["end_ms"], "caption"))
        equal(server.request("GET", found["picture"])[0], 200)
        contains(answer_of(server, "film", f"{word} はどこですか？")["text"], "言語モデルが設定されて")
        with streamed(server, "/v1/streams/film/ask", {"question": word, "stream": True}) as reply:
            equal((reply.status, reply.getheader("Content-Type")), (200, "text/event-stream"))
            events = [(name, data) for name, _, data in read_events(reply)]
        equal("".join(d["text"] for n, d in events if n == "token"), events[-1][1]["text"])
        equal(events[-1][0], "answer")
        models = server.get("/v1/models")
        equal([m["id"] for m in models["data"]], ["timeline"])
        status, chat, _ = server.request("POST", "/v1/chat/completions", {
            "messages": [{"role": "user", "content": f"where is the {word}?"}], "manako": {"stream": "film"}})
        equal((status, chat["choices"][0]["message"]["content"], chat["model"]), (200, answer["text"], "timeline"))
        shown = memory(server, "film")
        equal((shown["open"], shown["model"]["state"], shown["span"]), (False, "none", None))
        equal(server.request("GET", "/v1/streams/none/memory")[0], 404)


def test_refusals(case: Case):
    path, keys = key_file(case, reader=("read,ingest", {}), asker=("ask,read", {}))
    film = case.clip("film.mp4", seconds=1)
    with Server(case, film, "--realtime", "--loop", "--keys", path, "--question-max", "100B") as server:
        post = lambda route, body, key=keys["asker"]: server.request("POST", route, body, headers=auth(key))
        route = "/v1/streams/film/ask"
        refused(post(route, {"question": "what?"}, keys["reader"]), 403, "scope ask")
        refused(post(route, {"question": "what?"}, None), 401)
        refused(post("/v1/streams/none/ask", {"question": "what?"}), 404, "none")
        refused(post("/v1/streams/a%20b/ask", {"question": "what?"}), 404)
        refused(post(route, {}), 400, "question is missing")
        refused(post(route, {"question": ""}), 400, "question")
        refused(post(route, {"question": " \n"}), 400, "empty")
        refused(post(route, {"question": 7}), 400, "question must be text")
        refused(post(route, {"question": "x" * 101}), 413, "question", "100")
        refused(post(route, {"question": "x", "topk": 257}), 400, "topk must be a whole number from 0 to 256")
        refused(post(route, {"question": "x", "router": "best"}), 400, "router must be one of", "cos_sim_fine")
        refused(post(route, {"question": "x", "colour": "red"}), 400, "colour is not a member")
        refused(post(route, {"question": "x", "conversation": "c-none"}), 404, "conversation")
        refused(post("/v1/streams/film/watch", {"question": "red"}), 409, "--model-path")
        refused(post("/v1/streams/film/watch", {"question": "red", "threshold": 2}), 400, "threshold must be a number")
        refused(post("/v1/streams/none/watch", {"question": "red"}), 404)
        refused(server.request("DELETE", "/v1/streams/film/watch/w-none", headers=auth(keys["asker"])), 404)
        equal(server.request("GET", "/v1/streams/film/watch", headers=auth(keys["reader"]))[1], {"watches": []})
        refused(server.request("GET", "/v1/streams/none/watch", headers=auth(keys["reader"])), 404)


def test_refusals_of_the_chat(case: Case):
    """In OpenAI's form, whoever refuses."""
    path, keys = key_file(case, reader=("read", {}), asker=("ask", {}), both=("ask,ingest", {}))
    os.mkdir(case.path("videos"))
    pathlib.Path(case.path("videos/text.mp4")).write_text("this is no video\n" * 100)
    with Server(case, "--keys", path, "--files-root", case.path("videos")) as server:
        def post(content, key=keys["both"], **more):
            return server.request("POST", "/v1/chat/completions", {
                "messages": [{"role": "user", "content": content}], **more}, headers=auth(key))

        def check(reply, status, kind, *words, param=None):
            refused(reply, status, *words)
            error = reply[1]["error"]
            equal(sorted(error), ["code", "message", "param", "type"])
            equal((error["type"], error["param"]), (kind, param), error)

        video = lambda url: [{"type": "text", "text": "what?"}, {"type": "video_url", "video_url": {"url": url}}]
        bad, denied = "invalid_request_error", "permission_error"
        check(post("what?", None), 401, "authentication_error")
        check(post("what?", keys["reader"]), 403, denied, "scope ask")
        check(server.request("GET", "/v1/models", headers=auth(keys["reader"])), 403, denied)
        check(post("what?"), 400, bad, "name no stream", param="messages")
        check(post("what?", model="gpt-5"), 404, bad, "gpt-5", param="model")
        check(post("what?", temperature=3), 400, bad, "temperature must be", param="temperature")
        check(post("what?", n=2), 400, bad, "n must be", param="n")
        check(server.request("POST", "/v1/chat/completions", {}, headers=auth(keys["asker"])), 400, bad, "messages", param="messages")
        check(server.request("POST", "/v1/chat/completions", b"{", headers=auth(keys["asker"])), 400, bad)
        check(post([{"type": "image_url", "image_url": {"url": "data:,"}}]), 400, bad, "picture", param="messages[0].content[0]")
        check(post(video("stream:none")), 404, bad, "none")
        check(post(video("stream:../x")), 400, bad, "names no stream", param="messages[0].content[1]")
        check(post(video("data:video/mp4;base64,AAAA")), 400, bad, "/v1/uploads", param="messages[0].content[1]")
        check(post(video("file:x.mp4"), keys["asker"]), 403, denied, "scope ingest")
        for url in ("ftp://x/y", "push", "camera", "x.mp4", ""):
            check(post(video(url)), 400, bad, "video_url.url must be")
        for url in ("file:../keys.json", "file:///etc/passwd", "file:none.mp4", "file:", "upload:none"):
            reply = post(video(url))
            assert reply[0] in (400, 404), (url, reply)
        for url in ("http://127.0.0.1:1/x.mp4", "http://169.254.169.254/", "http://[::1]/"):
            reply = post(video(url))
            assert reply[0] in (400, 403, 413, 502), (url, reply)
        reply = post(video("file:text.mp4"))
        check(reply, 400, bad, "text.mp4")
        assert case.path("") not in json.dumps(reply[1]), reply[1]


def test_a_video_by_its_address(case: Case):
    """Watched to its end, then asked about; the second question does not watch it again."""
    os.mkdir(case.path("videos"))
    case.clip("videos/three.mp4", seconds=2)
    with Server(case, "--files-root", case.path("videos")) as server:
        def post(question, **more):
            status, chat, _ = server.request("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": [
                {"type": "text", "text": question}, {"type": "video_url", "video_url": {"url": "file:three.mp4"}}]}], **more})
            equal(status, 200, chat)
            return chat["manako"]

        first = post("what was there?")
        stream = server.stream(first["stream"])
        equal((stream["state"], stream["source"]), ("ended", {"kind": "file", "address": "three.mp4"}))
        assert first["stream"].startswith("three-"), first
        assert stream["captions"] > 0 and first["evidence"], (stream, first)
        equal(post("and then?")["stream"], first["stream"])
        equal(len(server.get("/v1/streams")["streams"]), 1)
        equal(server.request("DELETE", f"/v1/streams/{first['stream']}?captions=delete")[0], 200)
        again = post("what was there?")["stream"]
        assert again != first["stream"]


# ---- with a service ----

def service_of(remote, *arguments):
    options = ["--backend", "openai", "--openai-url", f"{remote.url}/v1", "--model", "test-model", "--outbound-allow", "loopback",
               "--backend-retries", "0", "--backend-breaker", "1000", "--caption-min", "1", *arguments]
    return options, {"OPENAI_API_KEY": KEY}


def questions(remote):
    return [e for e in remote.state.log if e["kind"] == "ask"]


def test_a_service_answers(case: Case):
    """From key frames and captions; not where a stream's pictures are to stay here."""
    with FaultServer() as remote:
        options, environment = service_of(remote)
        with Server(case, *options, environment=environment) as server, Client(server) as client:
            client.say(type="hello", stream="cam")
            for i in range(6):
                client.send(frame(i, ZERO + i * STEP, jpeg(("red", "blue")[i % 2])))
                client.hear_type("ack")
            client.say(type="flush")
            client.hear_type("caption")
            remote.state.text = "Two dogs play in a yard."
            equal([(m["id"], m["owned_by"]) for m in server.get("/v1/models")["data"]], [("test-model", "openai"), ("timeline", "timeline")])
            answer = answer_of(server, "cam", "what do the dogs do?")
            equal((answer["backend"], answer["text"], answer["router"]), ("openai", "Two dogs play in a yard.", ""))
            equal(questions(remote)[-1]["problems"], [])
            second = answer_of(server, "cam", "and then?", conversation=answer["conversation"])
            equal(len(questions(remote)), 2)
            equal(second["conversation"], answer["conversation"])
            status, chat, _ = server.request("POST", "/v1/chat/completions", {
                "model": "test-model", "messages": [{"role": "user", "content": "what do the dogs do?"}]})
            equal((status, chat["choices"][0]["message"]["content"], chat["manako"]["backend"]), (200, "Two dogs play in a yard.", "openai"))
            with streamed(server, "/v1/streams/cam/ask", {"question": "dogs?", "stream": True}) as reply:
                events = [(name, data) for name, _, data in read_events(reply)]
            equal("".join(d["text"] for n, d in events if n == "token"), "Two dogs play in a yard.")
            remote.faults(always="503", on="ask")
            status, error, _ = ask(server, "cam", "dogs?")
            assert status in (502, 503) and "503" in error["error"]["message"], (status, error)
            assert KEY not in json.dumps(error), error
            remote.faults(on="ask")
            n = len(questions(remote))
            equal(server.request("PATCH", "/v1/streams/cam", {"params": {"backend": "template"}})[0], 200)
            equal(answer_of(server, "cam", "what do the dogs do?")["backend"], "timeline")
            refused(server.request("POST", "/v1/streams/cam/watch", {"question": "dogs"}), 409, "model")
            equal(len(questions(remote)), n, "nothing has left")
            client.say(type="end")
            client.drain()
            equal(answer_of(server, "cam", "what do the dogs do?")["backend"], "timeline", "as it was for the stream")


def test_settings_that_are_not_written_yet(case: Case):
    """The disk is slow: a stream whose pictures are to stay here keeps them here, when it has just ended, too."""
    with FaultServer() as remote:
        options, environment = service_of(remote)
        with Server(case, *options, environment=environment) as server:
            equal(server.request("POST", "/v1/streams", {"id": "cam", "source": "push"})[0], 201)
            database = case.path("data/manako/timeline.db")
            with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
                rows = lambda: other.execute("SELECT count(*) FROM streams").fetchone()[0]
                wait_until("its row", rows)
                other.execute("BEGIN IMMEDIATE")  # now nobody else can write
                equal(server.request("PATCH", "/v1/streams/cam", {"params": {"backend": "template"}})[0], 200)
                equal(server.request("DELETE", "/v1/streams/cam")[0], 200)
                equal(answer_of(server, "cam", "what was there?")["backend"], "timeline")
                other.execute("ROLLBACK")
            equal(questions(remote), [])


def test_a_service_is_asked_again_and_again(case: Case):
    """A standing question is its key's to pay for, and stops when that cannot."""
    path, keys = key_file(case, ann=("ask,read,ingest", {"tokens_per_day": 5000}))
    with FaultServer() as remote:
        options, environment = service_of(remote, "--keys", path, "--frame-batch-size", 512)
        with Server(case, *options, environment=environment) as server, Client(server, extra_headers=auth(keys["ann"])) as client:
            client.say(type="hello", stream="cam")
            client.hear_type("hello")
            remote.state.text = "Yes."
            watch = server.request("POST", "/v1/streams/cam/watch", {"question": "dogs play", "cooldown_s": 0}, headers=auth(keys["ann"]))
            equal(watch[0], 201, watch[1])
            state = lambda: server.get("/v1/streams/cam/watch", headers=auth(keys["ann"]))["watches"][0]
            n = 0

            def spent():
                nonlocal n
                client.send(frame(n, ZERO + n * STEP, jpeg(("red", "blue")[n % 2])))
                client.hear_type("ack")
                if n % 4 == 3:
                    client.say(type="flush")
                n += 1
                return (shown := state())["fault"] and "tokens" in shown["fault"] and shown

            shown = wait_until("the last token", spent)
            assert shown["fired"] == 1 and shown["probability"] == 1, shown
            contains(shown["fault"], "tokens of today")
            refused(ask(server, "cam", "dogs?", keys["ann"]), 429, "ann")
            client.say(type="end")
            client.drain()
            equal(len(client.of("watch")), 1)


# ---- with the colour model ----

def test_what_was_seen(case: Case):
    with with_model(case) as server, Camera(server, "cam") as camera:
        camera.show("lime", "lime", "red", "lime")
        for colour, text in (("red", "the scene is red"), ("green", "the scene is green")):
            answer = answer_of(server, "cam", f"was it {colour}?", history="always")
            equal(answer["text"].strip(), text)
        equal((answer["backend"], answer["model"], answer["finish"], answer["history"]), ("local", "colour", "stop", True))
        assert answer["usage"]["prompt_tokens"] > answer["usage"]["visual_tokens"] > 0 < answer["usage"]["answer_tokens"], answer
        assert all(answer["times"][name] >= 0 for name in ("wait_ms", "route_ms", "prompt_ms", "first_ms", "total_ms")), answer
        text = answer_of(server, "cam", "was it blue?", history="always")["text"]
        assert "blue" not in text, text
        shown = memory(server, "cam")
        equal((shown["open"], shown["model"]), (True, {"name": "colour", "state": "ready", "detail": ""}))
        equal(shown["span"]["start_ms"], 0)
        assert 0 < shown["bytes"] <= shown["bytes_max"], shown
        # the best one and nothing else: the moment is told, and its picture can be seen
        answer = answer_of(server, "cam", "was it red?", history="always", topk=1, recent_frames=1)
        equal(answer["text"].strip(), "the scene is red")
        chosen = [e for e in answer["evidence"] if e["start_ms"] <= 2 * STEP * 1000 <= e["end_ms"]]
        assert chosen and chosen[0]["picture"], answer["evidence"]
        status, picture, _ = server.request("GET", chosen[0]["picture"])
        equal((status, picture[:2]), (200, b"\xff\xd8"))
        equal(answer_of(server, "cam", "was it red?", seed=1, temperature=0)["text"].strip(), "the scene is red")


def test_as_events(case: Case):
    with with_model(case) as server, Camera(server, "cam") as camera:
        camera.show("red")
        with streamed(server, "/v1/streams/cam/ask", {"question": "was it red?"}, {"Accept": "text/event-stream"}) as reply:
            equal(reply.status, 200)
            events = [(name, data) for name, _, data in read_events(reply)]
        tokens = [data["text"] for name, data in events if name == "token"]
        assert len(tokens) > 1, events
        equal([name for name, _ in events], ["token"] * len(tokens) + ["answer"])
        equal("".join(tokens), events[-1][1]["text"])
        contains(events[-1][1]["text"], "red")
        # refused before the first piece: by status
        with streamed(server, "/v1/streams/cam/ask", {"question": " ", "stream": True}) as reply:
            equal(reply.status, 400)
        # clients that go away at once leave nothing behind
        for _ in range(20):
            connection = socket.create_connection(("127.0.0.1", server.port))
            body = json.dumps({"question": "was it red?", "stream": True})
            connection.sendall(f"POST /v1/streams/cam/ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            connection.close()
        contains(answer_of(server, "cam", "was it red?")["text"], "red")


def test_clients_of_openai(case: Case):
    with with_model(case) as server, Camera(server, "cam") as camera:
        camera.show("red", "lime")
        models = server.get("/v1/models")
        equal((models["object"], [m["id"] for m in models["data"]]), ("list", ["colour", "timeline"]))
        equal({m["object"] for m in models["data"]}, {"model"})
        part = {"type": "video_stream", "video_stream": {"id": "cam"}}
        body = {"model": "colour", "tools": [], "logit_bias": None, "user": "x", "temperature": 0, "seed": 7, "max_tokens": 50,
                "messages": [{"role": "system", "content": "Be brief."},
                             {"role": "user", "content": [{"type": "text", "text": "was it red?"}, part]}]}
        status, chat, _ = server.request("POST", "/v1/chat/completions", body)
        equal(status, 200, chat)
        equal(sorted(chat), ["choices", "created", "id", "manako", "model", "object", "usage"])
        equal((chat["object"], chat["model"]), ("chat.completion", "colour"))
        assert chat["id"].startswith("chatcmpl-") and abs(chat["created"] - time.time()) < 3600, chat
        choice = chat["choices"][0]
        equal((choice["index"], choice["finish_reason"], choice["message"]["role"]), (0, "stop", "assistant"))
        equal(choice["message"]["content"].strip(), "the scene is red")
        equal(chat["usage"]["total_tokens"], chat["usage"]["prompt_tokens"] + chat["usage"]["completion_tokens"])
        assert chat["manako"]["evidence"] and chat["manako"]["conversation"] is None, chat["manako"]
        # the whole talk comes each time; the stream was named before
        talk = [*body["messages"], {"role": "assistant", "content": "yes"}, {"role": "user", "content": "was it green?"}]
        status, second, _ = server.request("POST", "/v1/chat/completions", {**body, "model": "auto", "messages": talk})
        equal((status, second["choices"][0]["message"]["content"].strip()), (200, "the scene is green"))
        # in pieces, exactly as OpenAI has them
        with streamed(server, "/v1/chat/completions", {**body, "stream": True, "stream_options": {"include_usage": True}}) as reply:
            equal((reply.status, reply.getheader("Content-Type")), (200, "text/event-stream"))
            lines = [line.decode().rstrip("\n") for line in reply]
        assert all(not line or line.startswith(("data: ", ":")) for line in lines), lines
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        equal(data[-1], "[DONE]")
        pieces = [json.loads(each) for each in data[:-1]]
        equal({(p["object"], p["id"], p["model"]) for p in pieces}, {("chat.completion.chunk", pieces[0]["id"], "colour")})
        equal(pieces[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        text = "".join(p["choices"][0]["delta"].get("content", "") for p in pieces[:-1])
        equal(text, choice["message"]["content"])
        equal([p["choices"][0]["finish_reason"] for p in pieces[:-1]], [None] * (len(pieces) - 2) + ["stop"])
        assert pieces[-2]["choices"][0]["delta"] == {} and pieces[-2]["manako"]["evidence"], pieces[-2]
        equal((pieces[-1]["choices"], [p["usage"] for p in pieces[:-1]]), ([], [None] * (len(pieces) - 1)))
        assert pieces[-1]["usage"]["completion_tokens"] > 0, pieces[-1]
        # the only stream that runs is meant where none is named; other ways to name it
        for more in ({}, {"manako": {"stream": "cam", "topk": 2}}):
            status, chat, _ = server.request("POST", "/v1/chat/completions", {
                "messages": [{"role": "user", "content": "was it red?"}], **more})
            equal((status, chat["manako"]["stream"]), (200, "cam"))
        status, chat, _ = server.request("POST", "/v1/chat/completions", {"model": "timeline", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x?"}, {"type": "video_url", "video_url": {"url": "stream:cam"}}]}]})
        equal((status, chat["manako"]["backend"], chat["model"]), (200, "timeline", "timeline"))
        contains(chat["choices"][0]["message"]["content"], "No language model was asked")


def test_a_video_by_its_address_is_remembered(case: Case):
    os.mkdir(case.path("videos"))
    case.clip("videos/three.mp4", colours=("red", "lime", "blue"), seconds=2)
    # so slow that the last pictures wait when the film is over
    with with_model(case, "--files-root", case.path("videos"), "--fps", 2, "--vision-budget", 0.02,
                    "--backend", "template") as server:
        for colour, text in (("blue", "the scene is blue"), ("green", "the scene is green"), ("red", "the scene is red")):
            status, chat, _ = server.request("POST", "/v1/chat/completions", {"manako": {"history": "always"}, "messages": [
                {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "file:three.mp4"}},
                                             {"type": "text", "text": f"was it {colour}?"}]}]})
            equal((status, chat["choices"][0]["message"]["content"].strip()), (200, text))
            equal(chat["manako"]["backend"], "local")
        equal(len(server.get("/v1/streams")["streams"]), 1)


def test_captions_by_the_local_model(case: Case):
    with with_model(case, "--frame-batch-size", 4) as server, Camera(server, "cam") as camera:
        camera.show("blue", "blue", "blue", "blue")
        camera.say(type="end")
        camera.drain()
        captions = server.captions("cam")
        equal({c["backend"] for c in captions}, {"local"}, captions)
        contains(captions[0]["text"], "blue")


def test_when_it_comes_true(case: Case):
    """A standing question: quiet while it is green, told when it is red; to readers of events, to the client
    that pushes, and to one that comes later; gone when it is taken back."""
    with with_model(case) as server, Camera(server, "cam") as camera:
        camera.show("lime", "lime")
        status, watch, reply = server.request("POST", "/v1/streams/cam/watch", {
            "question": "the scene is red", "watch_s": 0.1, "threshold": 0.7, "cooldown_s": 3600})
        equal(status, 201, watch)
        equal(reply.getheader("Location"), f"/v1/streams/cam/watch/{watch['id']}")
        equal((watch["watch_s"], watch["threshold"], watch["cooldown_s"], watch["fired"]), (0.1, 0.7, 3600, 0))
        state = lambda: server.get("/v1/streams/cam/watch")["watches"][0]
        with server.events("/v1/streams/cam/events") as events:
            for _ in range(3):
                camera.show("lime")
            wait_until("polls", lambda: state()["polls"] >= 2 or camera.show("lime"))  # one at a time
            wait_until("their answer", lambda: state()["probability"] is not None)
            shown = state()
            assert shown["fired"] == 0 and shown["probability"] < 0.5 and shown["fault"] is None, shown
            red = camera.n
            wait_until("it", lambda: state()["fired"] or camera.show("red"))
            fired = next(data for name, _, data in events if name == "watch")
        equal((fired["id"], fired["question"], fired["number"], fired["stream"]), (watch["id"], "the scene is red", 1, "cam"))
        assert fired["probability"] >= 0.7 and red * STEP * 1000 <= fired["end_ms"], (fired, red)
        message = next(m for m in camera.messages if m["type"] == "watch") if camera.of("watch") else camera.hear_type("watch")
        equal({k: v for k, v in message.items() if k != "type"}, fired)
        with server.events("/v1/streams/cam/events", last_event_id=0) as events:
            equal(next(data for name, _, data in events if name == "watch"), fired)
        for _ in range(2):
            camera.show("red")
        equal(state()["fired"], 1, "quiet for the cool-down")
        equal(server.request("DELETE", reply.getheader("Location"))[0], 204)
        equal(server.get("/v1/streams/cam/watch"), {"watches": []})
        equal(server.request("DELETE", reply.getheader("Location"))[0], 404)
        for i in range(8):
            equal(server.request("POST", "/v1/streams/cam/watch", {"question": f"{i}"})[0], 201)
        refused(server.request("POST", "/v1/streams/cam/watch", {"question": "one more"}), 409, "watches_max")
        camera.say(type="end")
        camera.drain()
        equal(server.get("/v1/streams/cam/watch"), {"watches": []})
        refused(server.request("POST", "/v1/streams/cam/watch", {"question": "late"}), 409, "has ended")


def test_two_users(case: Case):
    """A conversation is its key's alone, and so is what a key pays."""
    path, keys = key_file(case, ann=("ask,read,ingest", {}), ben=("ask,read", {}), poor=("ask", {"tokens_per_day": 10}))
    with with_model(case, "--keys", path) as server, Camera(server, "cam", keys["ann"]) as camera:
        camera.show("red")
        wait_until("the model", lambda: ready(server, auth(keys["ann"])))
        first = answer_of(server, "cam", "was it red?", key=keys["ann"])
        assert first["conversation"], first
        second = answer_of(server, "cam", "was it red?", key=keys["ann"], conversation=first["conversation"])
        equal(second["conversation"], first["conversation"])
        assert second["usage"]["prompt_tokens"] > first["usage"]["prompt_tokens"], "the first turn is read again"
        refused(ask(server, "cam", "was it red?", keys["ben"], conversation=first["conversation"]), 404, "conversation")
        other = answer_of(server, "cam", "was it red?", key=keys["ben"])
        assert other["conversation"] not in (None, first["conversation"]), other
        equal(other["usage"]["prompt_tokens"], first["usage"]["prompt_tokens"], "nothing of another's talk is read")
        equal(answer_of(server, "cam", "was it red?", key=keys["poor"])["text"].strip(), "the scene is red")
        reply = ask(server, "cam", "was it red?", keys["poor"])
        refused(reply, 429, "poor", "tokens_per_day")
        assert reply[2].getheader("Retry-After"), reply[2].getheaders()
        status, error, _ = server.request("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "?"}]},
                                          headers=auth(keys["poor"]))
        equal((status, error["error"]["type"]), (429, "rate_limit_error"))


def test_two_streams(case: Case):
    """Nothing of one stream is in the answers about another, nor of an earlier one of its name."""
    with with_model(case) as server:
        with Camera(server, "one") as one, Camera(server, "two") as two:
            one.show("red", "red")
            two.show("lime", "lime")
            one.show("red")
            equal(answer_of(server, "one", "was it red?", history="always")["text"].strip(), "the scene is red")
            equal(answer_of(server, "two", "was it green?", history="always")["text"].strip(), "the scene is green")
            for stream, colour in (("one", "green"), ("two", "red")):
                text = answer_of(server, stream, f"was it {colour}?", history="always")["text"]
                assert colour not in text, (stream, text)
            one.say(type="end")
            one.drain()
            # it has ended, and is remembered
            answer = answer_of(server, "one", "was it red?", history="always")
            equal((answer["backend"], answer["text"].strip()), ("local", "the scene is red"))
        equal(server.request("DELETE", "/v1/streams/one?captions=delete")[0], 200)
        equal(ask(server, "one", "was it red?")[0], 404)
        with Camera(server, "one") as again:
            again.show("blue")
            text = answer_of(server, "one", "was it red?", history="always")["text"]
            assert "red" not in text, text


# ---- deaths and restarts ----

def children(server, word):
    """Workers of this server whose command line has the word."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            line = (entry / "cmdline").read_bytes().split(b"\0")
            if parent == server.process.pid and word.encode() in line:
                found.append(int(entry.name))
    return found


def saved(case, stream):
    return list(pathlib.Path(case.folder).rglob(f"{stream}.memory"))


def test_the_model_s_worker_dies(case: Case):
    """In mid-answer: the client hears a sentence or its answer, the stream goes on, and what was remembered
    is remembered again."""
    with with_model(case, "--ckpt", "1s") as server, Camera(server, "cam") as camera:
        camera.show("red", "lime", "lime")
        wait_until("a checkpoint", lambda: saved(case, "cam"))  # with the first picture, at least
        pids = children(server, "--kind=model")
        equal(len(pids), 1, "workers of models")
        os.kill(pids[0], signal.SIGSTOP)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=90)
        connection.request("POST", "/v1/streams/cam/ask", json.dumps({"question": "was it red?", "history": "always"}))
        wait_until("the question", lambda: metric(server, "manako_questions_waiting") == 1)
        os.kill(pids[0], signal.SIGKILL)
        reply = connection.getresponse()
        content = json.loads(reply.read())
        connection.close()
        assert reply.status in (200, 503), (reply.status, content)
        if reply.status == 503:
            assert reply.getheader("Retry-After") and content["error"]["message"], content
        wait_until("the model again", lambda: ready(server))
        wait_until("its memory", lambda: ask(server, "cam", "was it red?", history="always")[1].get("text", "").strip() == "the scene is red")
        assert children(server, "--kind=model") not in ([], pids)
        n = camera.n
        camera.send(frame(n, ZERO + n * STEP, jpeg("blue")))
        camera.hear_type("ack")
        wait_until("what is new", lambda: "blue" in ask(server, "cam", "was it blue?", history="always")[1].get("text", ""))
        equal(server.stream("cam")["state"], "running")
        camera.say(type="end")
        camera.drain()
        equal(camera.of("error"), [])


def metric(server, name, **labels):
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    for line in server.get("/metrics").decode().splitlines():
        if line.startswith((f"{name}{{", f"{name} ")) and all(label in line for label in wanted):
            return float(line.rpartition(" ")[2])
    return 0


def raw_question(server, path, body, waiting):
    """A connection that has asked, and what was answered so far: nothing once it is one more that waits."""
    client, sent = socket.create_connection(("127.0.0.1", server.port)), json.dumps(body)
    client.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(sent)}\r\n\r\n{sent}".encode())
    has_answer = lambda: bool(select.select([client], [], [], 0)[0])
    wait_until("an answer, or its turn", lambda: has_answer() or metric(server, "manako_questions_waiting") > waiting)
    return client, client.recv(4096).decode() if has_answer() else ""


def fill_up(server):
    """Asks until no more is taken: the connections that wait, and the refusal."""
    waiting = []
    for path, body in [("/v1/streams/cam/ask", {"question": "was it red?", "stream": True}),
                       ("/v1/chat/completions", {"messages": [{"role": "user", "content": "was it red?"}]})] * 3:
        client, said = raw_question(server, path, body, len(waiting))
        if said:
            client.close()
            return waiting, said
        waiting.append(client)
    raise AssertionError("every question is taken")


def test_more_than_can_be_answered(case: Case):
    """With the model standing still: what is too much is refused, a client that goes away takes its question
    back, and a server that is told to end ends."""
    with with_model(case, "--questions-waiting", 2, "--drain", "1s") as server, Camera(server, "cam") as camera:
        camera.show("red")
        pid = children(server, "--kind=model")[0]
        os.kill(pid, signal.SIGSTOP)
        waiting, said = fill_up(server)
        equal(len(waiting), 2)
        contains(said, "HTTP/1.1 503", "Retry-After", "questions_waiting")
        for client in waiting:
            client.close()
        wait_until("both taken back", lambda: metric(server, "manako_questions_total", backend="local", outcome="cancelled") == 2)
        os.kill(pid, signal.SIGCONT)
        contains(answer_of(server, "cam", "was it red?")["text"], "red")
        os.kill(pid, signal.SIGSTOP)
        waiting, _ = fill_up(server)
        equal(server.stop(), 0)
        for client in waiting:
            client.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_memory_that_could_not_be_saved(case: Case):
    """It is saved as soon as it can be, though nothing new is seen."""
    with with_model(case, "--ckpt", "1s") as server, Camera(server, "cam") as camera:
        folder, away = (pathlib.Path(case.path(name)) for name in ("data/manako/memory", "away"))
        folder.rename(away)
        camera.show("red")
        wait_until("the complaint", lambda: any("memory-not-saved" in line for line in server.lines))
        away.rename(folder)
        wait_until("the checkpoint", lambda: saved(case, "cam"))


def test_after_a_restart(case: Case):
    """A stream that goes on knows what it knew, and its standing questions stand; one that has ended is
    answered for by the timeline."""
    server = with_model(case, "--ckpt", "1s")
    try:
        with Camera(server, "old") as old:
            old.show("red")
            old.say(type="end")
            old.drain()
        camera = Camera(server, "cam")
        camera.show("red", "lime")
        before = answer_of(server, "cam", "was it red?", history="always")
        equal(server.request("POST", "/v1/streams/cam/watch", {"question": "the scene is blue", "threshold": 0.8, "watch_s": 2})[0], 201)
        watch = server.get("/v1/streams/cam/watch")["watches"][0]
        known = memory(server, "cam")
        assert known["span"]["end_ms"] > known["span"]["start_ms"], known
        equal(server.stop(), 0)
        server.start()
        wait_until("the model", lambda: ready(server))
        wait_until("what is remembered, before a frame comes", lambda: memory(server, "cam")["span"] == known["span"])
        for name in ("clusters", "long_clusters", "recent_frames"):
            equal(memory(server, "cam")[name], known[name], name)
        wait_until("the stream", lambda: server.stream("cam")["state"] == "waiting")
        after = answer_of(server, "cam", "was it red?", history="always")
        equal((after["text"], after["backend"]), (before["text"], "local"))
        equal([e["score"] for e in after["evidence"]], [e["score"] for e in before["evidence"]], "scores")
        now = server.get("/v1/streams/cam/watch")["watches"][0]
        equal([now[name] for name in ("id", "question", "threshold", "watch_s")],
              [watch[name] for name in ("id", "question", "threshold", "watch_s")])
        equal(answer_of(server, "old", "was it red?")["backend"], "timeline")
        contains(answer_of(server, "old", "was it red?")["text"], "No language model")
    finally:
        equal(server.stop(), 0)


if __name__ == "__main__":
    main([value for name, value in list(globals().items()) if name.startswith("test_")])
