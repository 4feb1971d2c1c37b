"""The whole server with language models: services that answer, and all that they can do instead. Whatever they do, the
stream goes on, captions name who wrote them, and no key is shown."""
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "language"))

import fault_server
from fault_server import ECHO, KEY, FaultServer
from live import Client, Server, frame, jpeg, keep_pace, quote, wait_until
from tap import LONG, Case, Skip, contains, equal, main

ZERO = 1_790_000_000.0
SERVICES = ("gemini", "vertex", "openai")
FRAMES = 8
# Faults that end with the service's own words, the next request being answered well.
PASSING = ("429", "429-retryinfo", "500", "503", "504", "reset", "close", "cut-body", "cut-json", "wrong-schema", "not-json",
           "wrong-indices")
HARMLESS = ("ok", "fenced", "thoughts", "echo")
# Faults that another try does not mend: the template tells it.
LASTING = ("503", "429-long", "400", "413", "safety", "recitation", "prompt-blocked", "no-parts", "max-tokens-empty", "huge",
           "garbage", "redirect", "html-200", "html-503", "bad-envelope", "ansi-500", "key-echo-500", "cut-json",
           "wrong-schema", "reset")
SLOW = ("hang", "stall-body", "slow-head", "slow-body")
CONFIGURED = ("401", "403", "404")


def setup(case, service, url, key=KEY):
    """(options, environment) that make a server use the service."""
    options = ["--backend", service, "--outbound-allow", "loopback", "--backend-backoff", "10ms", "--backend-breaker", "1000",
               "--backend-probe", "50ms", "--frame-batch-size", "100", "--caption-min", "1"]
    if service == "gemini":
        return [*options, "--gemini-url", url], {"GEMINI_API_KEY": key}
    if service == "openai":
        return [*options, "--openai-url", f"{url}/v1", "--model", "test-model"], {"OPENAI_API_KEY": key}
    return ([*options, "--vertex-url", url, "--vertex-project", "test-project", "--model", "test-model"],
            {"VERTEX_ACCESS_TOKEN": key})


def push(server, name, n=FRAMES, **params):
    """A stream of n frames, two a second; its captions."""
    with Client(server) as client:
        client.say(type="hello", stream=name, params=params)
        equal(client.hear_type("hello")["stream"], name)
        for i in range(n):
            client.send(frame(i, ZERO + i / 2, jpeg(("red", "blue")[i // 4 % 2])))
            keep_pace(server, name, i * 500)
        client.say(type="end")
        client.drain()
        equal((client.code, client.of("error")), (1000, []))
        equal(sum(a["frames"] for a in client.of("ack")), n)
        told = {m["id"]: m["data"] for m in client.of("caption")}
    kept = server.captions(name)
    equal({c["id"]: (c["text"], c["backend"]) for c in kept}, {i: (c["text"], c["backend"]) for i, c in told.items()})
    return kept


def check_whole(captions):
    """From the first frame on, one after the other, all within the stream."""
    equal(captions[0]["start_ms"], 0, captions)
    for caption in captions:
        assert 0 <= caption["start_ms"] < caption["end_ms"] <= FRAMES * 500 + 500, caption
        assert caption["text"].strip() and caption["final"], caption


def by(captions):
    return {c["backend"] for c in captions}


def backend_part(server):
    return server.request("GET", "/healthz")[1]["parts"]["backend"]


def metric(server, name, **labels):
    for line in server.get("/metrics").decode().splitlines():
        if line.startswith(name) and all(f'{k}="{v}"' in line for k, v in labels.items()):
            return float(line.split()[-1])
    return 0.0


def descendants(pid):
    found = []
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def check_no_key(server, *more, key=KEY):
    """Neither it nor a good part of it is anywhere to be seen."""
    shown = ["".join(server.lines), "".join(server.out), *map(str, more)]
    for path in ("/healthz", "/metrics", "/openapi.json", "/version", "/v1/streams", "/v1/search?q=key"):
        shown.append(str(server.request("GET", path)[1]))
    for stream in server.get("/v1/streams")["streams"]:
        for path in ("", "/captions", "/captions?format=vtt", "/captions?format=srt"):
            shown.append(str(server.request("GET", f"/v1/streams/{stream['id']}{path}")[1]))
        with server.events(f"/v1/streams/{stream['id']}/events", 0) as events:
            for event in events:
                shown.append(str(event))
                if event[0] == "bye":
                    break
    for pid in descendants(server.process.pid):
        shown.append(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"))
        shown.append(pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace"))
    shown.append(pathlib.Path(f"/proc/{server.process.pid}/cmdline").read_bytes().decode(errors="replace"))
    for text in shown:
        for part in (key, key[3:15], key[-12:]):
            at = text.find(part)
            assert at < 0, f"{part} is shown: ...{text[max(at - 100, 0):at + 60]}"


def run_service(case, service):
    with FaultServer() as remote:
        options, environment = setup(case, service, remote.url)
        environment["MANAKO_LOG_LEVEL"] = "debug"
        with Server(case, *options, "--log-level", "debug", environment=environment) as server:
            equal(backend_part(server), {"status": "ok", "detail": ""})
            captions = push(server, "first")
            equal(by(captions), {service})
            check_whole(captions)
            equal([(c["start_ms"], c["end_ms"], c["text"]) for c in captions],
                  [(0, 2000, "A dog runs across a yard."), (1500, 4000, "The dog lies down.")], "frames mapped to time")
            log = remote.state.log
            equal([e["problems"] for e in log if e["problems"]], [])
            wanted = next(e for e in log if e["kind"] == "generate")
            equal(wanted["n_frames"], FRAMES)
            for fault in HARMLESS if LONG else HARMLESS[1:]:
                remote.faults(fault)
                captions = push(server, f"fine-{fault}")
                equal(by(captions), {service}, fault)
                check_whole(captions)
            for fault in PASSING:
                before = metric(server, "manako_backend_calls_total", backend=service, outcome="ok")
                remote.faults(fault)
                captions = push(server, f"once-{fault}")
                equal(by(captions), {service}, f"{fault}, then an answer")
                wait_until("its count", lambda: metric(
                    server, "manako_backend_calls_total", backend=service, outcome="ok") == before + 1)
            for fault in LASTING:
                remote.faults(always=fault)
                captions = push(server, f"always-{fault}")
                equal(by(captions), {"template"}, f"{fault} again and again")
                check_whole(captions)
                equal(server.stream(f"always-{fault}")["counters"]["fallbacks"], 1, fault)
            remote.faults(always="key-in-text")
            push(server, "key-in-text")
            remote.faults()
            for fault in CONFIGURED:
                remote.faults(always=fault)
                remote.faults(always=fault, on="check")
                equal(by(push(server, f"refused-{fault}")), {"template"}, fault)
                if (service, fault) != ("openai", "404"):  # that one may just not list its models
                    wait_until("the state", lambda: backend_part(server)["status"] == "down" and
                               fault in backend_part(server)["detail"])
                equal(server.request("GET", "/healthz")[0], 200, "the template stands in")
                equal(by(push(server, f"again-{fault}")), {"template"})
                remote.faults()
                remote.faults(on="check")
                wait_until("the service back", lambda: backend_part(server)["status"] != "down" or
                           push(server, f"try-{os.urandom(4).hex()}") is None)
            equal(by(push(server, "last")), {service})
            equal(remote.state.canary, 0, "no redirect is followed")
            for line in server.lines:
                assert "\x1b" not in line and "\r" not in line, line
            check_no_key(server)


def test_gemini(case: Case):
    run_service(case, "gemini")


def test_vertex(case: Case):
    run_service(case, "vertex")


def test_openai(case: Case):
    run_service(case, "openai")


def test_slow_services(case: Case):
    """Deadlines hold: the answer that never comes is not waited for."""
    with FaultServer() as remote:
        for service in SERVICES if LONG else SERVICES[:1]:
            options, environment = setup(case, service, remote.url)
            with Server(case, *options, "--backend-deadline", "1s", "--backend-first-byte", "300ms", "--backend-retries", "1",
                        "--db", case.path(f"{service}.db"), environment=environment) as server:
                for fault in SLOW:
                    remote.faults(always=fault)
                    captions = push(server, fault)
                    equal(by(captions), {"template"}, fault)
                    check_whole(captions)
                wait_until("their count", lambda: metric(server, "manako_fallbacks_total") == len(SLOW))


def test_a_storm(case: Case):
    """The breaker opens, the state is told, frames go on being acknowledged, and it heals by itself."""
    with FaultServer() as remote:
        options, environment = setup(case, "gemini", remote.url)
        options[options.index("--backend-breaker") + 1] = "3"
        with Server(case, *options, "--backend-pause", "1s", "--backend-retries", "0", environment=environment) as server, \
                Client(server) as client:
            client.say(type="hello", stream="storm")
            client.hear_type("hello")
            with server.events("/v1/streams/storm/events") as events:
                remote.faults(always="503")
                index = 0

                def batch():
                    nonlocal index
                    for _ in range(4):
                        client.send(frame(index, ZERO + index / 2, jpeg(("red", "blue")[index // 4 % 2])))
                        equal(client.hear_type("ack")["frame_index"], index)
                        index += 1
                    client.say(type="flush")
                    return client.hear_type("caption")["data"]["backend"]

                for _ in range(5):
                    equal(batch(), "template")
                # it is down for a pause after each fault, and nothing is tried without a batch
                wait_until("the breaker", lambda: batch() == "template" and backend_part(server)["status"] == "down")
                contains(backend_part(server)["detail"], "503")
                told = next(d for n, _, d in events if n == "state" and d["backend"]["state"] == "down")
                equal(told["backend"]["name"], "gemini")
                equal(server.request("GET", "/healthz")[0], 200)
                remote.faults()
                wait_until("an answer of the service", lambda: batch() == "gemini")
                told = next(d for n, _, d in events if n == "state" and d["backend"]["state"] == "ok")
                equal(backend_part(server), {"status": "ok", "detail": ""})
            client.say(type="end")
            client.drain()
            equal(client.of("error"), [])
            counters = server.stream("storm")["counters"]
            assert counters["fallbacks"] >= 5 and counters["batches"] > counters["fallbacks"], counters
            wait_until("their count", lambda: metric(server, "manako_fallbacks_total") == counters["fallbacks"])


def test_a_service_account(case: Case):
    """Vertex by a service account's key: a token is fetched, kept, and fetched anew when it is refused."""
    if subprocess.run(["openssl", "version"], capture_output=True, check=False).returncode:
        raise Skip("the openssl program is not installed")
    with FaultServer() as remote:
        connection = http.client.HTTPConnection("127.0.0.1", remote.port)
        connection.request("GET", "/account")
        account = pathlib.Path(case.path("account.json"))
        account.write_bytes(connection.getresponse().read())
        secret = json.loads(account.read_text())["private_key"]
        options, _ = setup(case, "vertex", remote.url)
        with Server(case, *options, "--vertex-credentials", account) as server:
            equal(backend_part(server)["status"], "ok")
            for name in ("one", "two"):
                equal(by(push(server, name)), {"vertex"})
            equal(len(remote.state.tokens), 1)
            token = remote.state.tokens[0]
            remote.state.tokens[0] = "revoked"
            push(server, "three")
            equal(by(push(server, "four")), {"vertex"})
            check_no_key(server, key=token)
            check_no_key(server, key=secret.splitlines()[3])


def test_starts(case: Case):
    """What a start says about its model."""
    with FaultServer() as remote:
        for service in SERVICES:
            options, environment = setup(case, service, remote.url)
            case.env.update(environment)
            remote.faults(always="404", on="check")
            if service == "openai":  # one that lists no models, or others, may have it all the same
                remote.faults(on="check")
                options[options.index("--model") + 1] = "no-such-model"
                with Server(case, *options) as server:
                    wait_until("a warning", lambda: "no-such-model" in "".join(server.lines))
            else:
                result = case.run("serve", "--port", "0", *options)
                equal(result.status, 3, f"{service}: {result.err}")
                contains(result.err, "does not know the model", "--model")
                assert "Manako is at" not in result.err and KEY not in result.err + result.out, result.err
            remote.faults(always="401", on="check")
            options, environment = setup(case, service, remote.url)
            result = case.run("serve", "--port", "0", *options)
            equal(result.status, 3, f"{service}: {result.err}")
            assert KEY not in result.err + result.out, result.err
            remote.faults(on="check")
            case.env.update(environment)
            equal(case.run("serve", "--check", *options).status, 0)
            for name in environment:
                case.env[name] = "wrong-key-0123456789-abcdefgh"
            result = case.run("serve", "--port", "0", *options)
            equal(result.status, 3, f"{service}: {result.err}")
            assert "wrong-key-0123456789" not in result.err, result.err
            for name in environment:
                del case.env[name]
        # out of reach, or ill: that may pass
        for fault in ("503", "reset", "hang"):
            remote.faults(always=fault, on="check")
            options, environment = setup(case, "gemini", remote.url)
            with Server(case, *options, environment=environment) as server:
                assert backend_part(server)["status"] != "ok"
                remote.faults(on="check")
                wait_until("the service", lambda: by(push(server, f"after-{os.urandom(4).hex()}")) == {"gemini"})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    options, environment = setup(case, "gemini", f"http://127.0.0.1:{port}")
    with Server(case, *options, environment=environment) as server:
        equal(by(push(server, "nobody-there")), {"template"})
        equal(server.request("GET", "/healthz")[0], 200)
    # a file of the environment and a key file are as good
    pathlib.Path(case.path(".env")).write_text(f"GEMINI_API_KEY={KEY}\n")
    with FaultServer() as remote:
        options, _ = setup(case, "gemini", remote.url)
        with Server(case, *options) as server:
            equal(by(push(server, "dotenv")), {"gemini"})
            check_no_key(server)


def test_live_changes(case: Case):
    """Who writes, in which language and what about may change while the stream runs."""
    with FaultServer() as remote:
        options, environment = setup(case, "gemini", remote.url)
        with Server(case, *options, environment=environment) as server, Client(server) as client:
            client.say(type="hello", stream="live", params={"prompt": "Say what the dogs do."})
            client.hear_type("hello")
            index = 0

            def batch():
                nonlocal index
                for _ in range(4):
                    client.send(frame(index, ZERO + index / 2, jpeg(("red", "blue")[index // 4 % 2])))
                    index += 1
                client.say(type="flush")
                return client.hear_type("caption")["data"]

            patch = lambda **params: equal(server.request("PATCH", "/v1/streams/live", {"params": params})[0], 200)
            asked = lambda: [e for e in remote.state.log if e["kind"] == "generate"]
            equal(batch()["backend"], "gemini")
            equal(asked()[-1]["material"]["wish"], "Say what the dogs do.")
            patch(prompt="Count the cats.", temperature=1.5, lang="ja")
            wait_until("another language", lambda: batch()["lang"] == "ja")  # an event of before may be told first
            equal((asked()[-1]["material"]["wish"], asked()[-1]["temperature"]), ("Count the cats.", 1.5))
            patch(backend="template", lang="en")
            wait_until("the template", lambda: batch()["backend"] == "template")
            n = len(asked())  # what was flushed before has been answered
            equal([batch()["backend"] for _ in range(3)], ["template"] * 3)
            equal(len(asked()), n, "nobody is asked")
            patch(backend="auto", prompt="")
            wait_until("the service", lambda: batch()["backend"] == "gemini")
            assert "wish" not in asked()[-1]["material"], asked()[-1]
            equal(server.request("PATCH", "/v1/streams/live", {"params": {"backend": "nobody"}})[0], 400)
            client.say(type="end")
            client.drain()


def test_embeddings(case: Case):
    """Captions are embedded by the endpoint, and found by what they mean; without it, by their words."""
    with FaultServer() as remote:
        options, environment = setup(case, "vertex", remote.url)
        endpoint = "projects/test-project/locations/us-central1/endpoints/1"
        with Server(case, *options, "--vertex-bert-endpoint", endpoint, environment=environment) as server:
            push(server, "dogs")
            wait_until("vectors", lambda: sum(len(e["texts"]) for e in remote.state.log if e["kind"] == "predict") >= 2)
            texts = [t for e in remote.state.log if e["kind"] == "predict" for t in e["texts"]]
            contains(texts, "A dog runs across a yard.", "The dog lies down.")
            found = wait_until("a hit by meaning", lambda: server.get(f"/v1/search?q={quote('zebra herd')}")["hits"])
            equal({h["caption"]["stream"] for h in found}, {"dogs"})
            for fault in ("503", "words", "fewer", "uneven", "zero", "nothing", "huge", "garbage", "401"):
                remote.faults(always=fault, on="predict")
                equal(server.request("GET", f"/v1/search?q={quote('yard ' + fault)}")[0], 200)
                hits = server.get("/v1/search?q=yard")["hits"]
                contains([h["caption"]["text"] for h in hits], "A dog runs across a yard.")
            captions = push(server, "more")
            equal(by(captions), {"vertex"})
            equal(server.get("/healthz")["status"], "ok")
            check_no_key(server)


if __name__ == "__main__":
    assert fault_server.ECHO == ECHO
    main([value for name, value in list(globals().items()) if name.startswith("test_")])
