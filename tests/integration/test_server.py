"""The server itself: health, rights, uploads, reload and its end; what streams do is tested elsewhere."""
import concurrent.futures
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

from live import PATIENCE, Client, Server, frame, jpeg, wait_until
from tap import PROGRAM, Case, Skip, check_sanitizers, contains, equal, main

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def new_key(case, name, scopes):
    result = case.run("keys", "new", name, "--scopes", scopes, "--keys", case.path("keys.json"))
    equal(result.status, 0, result.err)
    return result.out.strip()


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def hangup(server, sign):
    """SIGHUP, and the line that tells what came of it."""
    seen = len(server.lines)
    server.process.send_signal(signal.SIGHUP)
    return wait_until(f"a line with {sign!r}", lambda: next((x for x in server.lines[seen:] if sign in x), None))


def ended(server):
    """The status of a server that was told to end."""
    status = server.process.wait(PATIENCE)
    check_sanitizers(server.said())
    return status


def error_of(answer, status, code, field=None):
    equal(answer[0], status, answer[1])
    error = answer[1]["error"]
    equal(error["code"], code, error)
    equal(error.get("field"), field, error)
    assert error["message"] and not error["message"].endswith("."), error
    return error["message"]


# ---- about itself ----

def test_health_and_version(case: Case):
    with Server(case) as server:
        health = server.get("/healthz")
        equal(health["status"], "ok")
        equal(health["parts"]["store"], {"status": "ok", "detail": ""})
        equal(health["parts"]["backend"]["status"], "ok")
        assert any(name.startswith("worker.") for name in health["parts"]), health
        version = server.get("/version")
        equal(version["name"], "manako")
        equal(sorted(version), ["build", "name", "version"])


def test_metrics(case: Case):
    with Server(case) as server:
        text = server.get("/metrics").decode()
        for name in ("process_resident_memory_bytes", "process_open_fds", "process_threads", "process_cpu_seconds",
                     "connections", "store_healthy"):
            value = next(x for x in text.splitlines() if x.startswith(f"manako_{name} ")).split()[1]
            assert float(value) > 0, (name, value)
        equal(server.request("GET", "/metrics")[2].getheader("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")


def test_openapi(case: Case):
    with Server(case) as server:
        described = server.get("/openapi.json")
    equal(described["openapi"], "3.1.0")
    equal(described, json.loads(case.run("docs", "openapi").out), "what the program writes for the docs")
    try:
        from openapi_spec_validator import OpenAPIV31SpecValidator
    except ImportError:
        raise Skip("openapi-spec-validator is not installed") from None
    equal([e.message for e in OpenAPIV31SpecValidator(described).iter_errors()], [])


def test_the_page(case: Case):
    with Server(case) as server:
        status, content, answer = server.request("GET", "/")
        equal(status, 200)
        contains(content.decode(), "<!doctype html>")
        equal(answer.getheader("Content-Type"), "text/html; charset=utf-8")
        tag = answer.getheader("ETag")
        equal(server.request("GET", "/", headers={"If-None-Match": tag})[0], 304)
        equal(server.request("GET", "/", headers={"If-None-Match": f'"x", W/{tag}'})[0], 304)
        equal(server.request("GET", "/", headers={"If-None-Match": '"x"'})[0], 200)
        equal(server.request("GET", "/index.html")[1], content)
        for path in ("/manako.gresource.xml", "/index.html/", "/../index.html", "/%2e%2e/etc/passwd", "//index.html"):
            assert server.request("GET", path)[0] in (400, 404), path


def test_headers_of_every_answer(case: Case):
    with Server(case) as server:
        for path in ("/", "/healthz", "/nothing", "/v1/streams", "/v1/search"):
            answer = server.request("GET", path)[2]
            for name, value in SECURITY.items():
                equal(answer.getheader(name), value, f"{path} {name}")
            contains(answer.getheader("Content-Security-Policy"), "default-src 'none'", "script-src 'self'",
                     "frame-ancestors 'none'")
            contains(answer.getheader("Permissions-Policy"), "camera=(self)")
            assert "unsafe" not in answer.getheader("Content-Security-Policy")
            equal(answer.getheader("Access-Control-Allow-Origin"), None)


def test_methods(case: Case):
    with Server(case) as server:
        answer = server.request("PUT", "/v1/streams")
        error_of(answer, 405, "method_not_allowed")
        equal(sorted(answer[2].getheader("Allow").split(", ")), ["GET", "HEAD", "OPTIONS", "POST"])
        status, content, answer = server.request("HEAD", "/healthz", raw=True)
        equal((status, content), (200, b""))
        assert int(answer.getheader("Content-Length")) > 0
        equal(server.request("OPTIONS", "/v1/streams")[0], 204)
        error_of(server.request("GET", "/v1/nothing"), 404, "not_found")
        error_of(server.request("POST", "/nothing", {}), 404, "not_found")


def test_errors_name_the_field(case: Case):
    with Server(case) as server:
        post = lambda body: server.request("POST", "/v1/streams", body)
        error_of(server.request("GET", "/v1/search?q=a&nothing=1"), 400, "usage", "nothing")
        error_of(server.request("GET", "/v1/search"), 400, "usage", "q")
        error_of(server.request("GET", "/v1/search?q=a&q=b"), 400, "usage", "q")
        error_of(server.request("GET", "/v1/search?q=a&limit=many"), 400, "usage", "limit")
        equal(error_of(post({"source": "push", "params": {"fps": 0}}), 400, "usage", "params.fps"),
              "fps must be a number from 0.01 to 60")
        error_of(post({"source": "push", "params": {"port": 1}}), 400, "usage", "params.port")
        error_of(post({"source": "push", "params": []}), 400, "usage", "params")
        equal(error_of(post({"source": "push", "params": {"backend": "gemini"}}), 400, "usage", "params.backend"),
              "backend is gemini, which this server is not set up for; it has template")
        equal(post({"source": "push", "id": "plain", "params": {"backend": "template"}})[0], 201)
        error_of(server.request("PATCH", "/v1/streams/plain", {"params": {"backend": "openai"}}), 400, "usage", "params.backend")
        error_of(post({"source": "push", "more": 1}), 400, "usage", "more")
        error_of(post({}), 400, "usage", "source")
        error_of(post([]), 400, "usage")
        error_of(post(b"{"), 400, "bad_input")
        error_of(post(b'{"source":"push","source":"push"}'), 400, "bad_input")
        error_of(post(b"[" * 1000), 413, "limit")
        # a little more than may be: of much more not all is read
        equal(post(b'"' + b"a" * (1 << 20) + b'"')[0], 413)
        equal(server.get("/healthz")["status"], "ok")


# ---- rights ----

def test_keys_and_scopes(case: Case):
    reader, pusher, admin = (new_key(case, n, s) for n, s in (("r", "read"), ("p", "ingest"), ("a", "admin")))
    file = pathlib.Path(case.path("keys.json"))
    equal(file.stat().st_mode & 0o777, 0o600)
    assert not any(k[3:] in file.read_text() for k in (reader, pusher, admin)), "keys in the clear"
    contains(case.run("keys", "list", "--keys", str(file)).out, "r ", "ingest", "admin")
    equal(case.run("keys", "new", "r", "--keys", str(file)).status, 2)
    with Server(case, "--keys", "keys.json") as server:
        get = lambda path, headers=(): server.request("GET", path, headers=headers)
        equal(get("/healthz")[0], 200, "health needs no key")
        equal(get("/")[0], 200, "the page needs no key")
        refused = get("/v1/streams")
        error_of(refused, 401, "unauthorized")
        contains(refused[2].getheader("WWW-Authenticate"), "Bearer")
        for headers in (bearer(reader), {"X-API-Key": reader}, {"Authorization": f"bearer {reader}"}, bearer(admin)):
            equal(get("/v1/streams", headers)[0], 200, str(list(headers)))
        error_of(get("/v1/streams", bearer(pusher)), 403, "forbidden")
        error_of(get("/v1/uploads", bearer(reader)), 403, "forbidden")
        equal(get("/metrics", bearer(reader))[0], 200)
        equal(get("/metrics")[0], 401)
        for wrong in ("", "mk_", reader[:-1], reader + "a", reader.upper(), "Basic " + reader, reader[3:]):
            assert get("/v1/streams", bearer(wrong))[0] == 401, wrong
        assert not any(k in "".join(server.lines) for k in (reader, pusher, admin)), "keys in the log"


def test_tokens(case: Case):
    reader, pusher = new_key(case, "r", "read"), new_key(case, "p", "ingest")
    with Server(case, "--keys", "keys.json", "--log-level", "info") as server:
        make = lambda body, key: server.request("POST", "/v1/tokens", body, headers=bearer(key) if key else {})
        error_of(make({"scope": "read"}, None), 401, "unauthorized")
        error_of(make({"scope": "read"}, pusher), 403, "forbidden")
        error_of(make({"scope": "ingest"}, reader), 403, "forbidden")
        error_of(make({"scope": "read", "stream": "../x"}, reader), 400, "usage", "stream")
        error_of(make({"scope": "none"}, reader), 400, "usage", "scope")
        status, made, _ = make({"scope": "read"}, reader)
        equal(status, 201)
        assert made["expires_us"] > time.time() * 1e6
        bound = make({"scope": "read", "stream": "a"}, reader)[1]["token"]
        push = make({"scope": "ingest"}, pusher)[1]["token"]
        get = lambda path, token: server.request("GET", f"{path}?token={token}")[0]
        equal(get("/v1/streams", made["token"]), 200)
        equal(get("/v1/streams", made["token"] + "0"), 401)
        equal(get("/v1/streams", push), 403)
        equal(get("/v1/streams", bound), 403, "it is good for one stream alone")
        equal(get("/v1/streams/a", bound), 404, "let in; there is none")
        equal(get("/v1/streams/b", bound), 403)
        equal(server.request("POST", f"/v1/streams?token={push}", {"source": "push"})[0], 401, "it only fetches")
        equal(server.request("POST", f"/v1/tokens?token={made['token']}", {"scope": "read"})[0], 400)
        assert made["token"] not in "".join(server.lines), "tokens in the log"


def test_wrong_keys(case: Case):
    reader = new_key(case, "r", "read")
    with Server(case, "--keys", "keys.json") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        seen, begin = {}, time.monotonic()
        for number in range(2000):
            connection.request("GET", "/v1/streams", headers=bearer(f"mk_{number:052}"))
            answer = connection.getresponse()
            answer.read()
            seen[answer.status] = seen.get(answer.status, 0) + 1
            if answer.status == 429:
                assert int(answer.getheader("Retry-After")) > 0
        allowed = 20 + 0.2 * (time.monotonic() - begin)  # at once, and a second
        assert seen[401] <= allowed + 1 and set(seen) == {401, 429}, (seen, allowed)
        equal(server.request("GET", "/v1/streams", headers=bearer(reader))[0], 200, "a proxy's other clients")
        text = server.request("GET", "/metrics", headers=bearer(reader))[1].decode()
        contains(text, f'manako_auth_refused_total{{reason="throttled"}} {seen[429]}')


def test_quotas(case: Case):
    key = new_key(case, "p", "ingest,read")
    file = pathlib.Path(case.path("keys.json"))
    listing = json.loads(file.read_text())
    listing["keys"][0]["streams_max"] = 2
    file.write_text(json.dumps(listing))
    with Server(case, "--keys", "keys.json") as server:
        post = lambda: server.request("POST", "/v1/streams", {"source": "push"}, headers=bearer(key))
        equal([post()[0], post()[0]], [201, 201])
        refused = post()
        contains(error_of(refused, 429, "too_many_requests"), "streams_max")
        assert int(refused[2].getheader("Retry-After")) > 0
        name = server.get("/v1/streams", headers=bearer(key))["streams"][0]["id"]
        assert server.request("DELETE", f"/v1/streams/{name}", headers=bearer(key))[0] in (200, 202, 204)
        wait_until("room for another stream", lambda: post()[0] == 201)


def test_origins(case: Case):
    with Server(case, "--allow-origins", "https://good.example, http://other.example:81") as server:
        get = lambda headers: server.request("GET", "/version", headers=headers)
        own = f"http://127.0.0.1:{server.port}"
        equal(get({"Origin": own})[0], 200)
        equal(get({"Origin": own})[2].getheader("Access-Control-Allow-Origin"), None)
        status, _, answer = get({"Origin": "https://good.example"})
        equal((status, answer.getheader("Access-Control-Allow-Origin")), (200, "https://good.example"))
        contains(answer.getheader("Vary"), "Origin")
        equal(answer.getheader("Access-Control-Allow-Credentials"), None)
        for origin in ("http://good.example", "https://good.example.evil", "null", "https://evil.example", own + "0",
                       "http://localhost:1"):
            refused = get({"Origin": origin})
            error_of(refused, 403, "forbidden", "Origin")
            equal(refused[2].getheader("Access-Control-Allow-Origin"), None)
        ask = lambda origin: server.request("OPTIONS", "/v1/streams", headers={
            "Origin": origin, "Access-Control-Request-Method": "POST"})
        status, _, answer = ask("https://good.example")
        equal(status, 204)
        contains(answer.getheader("Access-Control-Allow-Methods"), "POST")
        contains(answer.getheader("Access-Control-Allow-Headers"), "Authorization")
        equal(ask("https://evil.example")[0], 403)
        evil = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        equal(server.request("POST", "/v1/streams", b'{"source":"push"}', headers=evil)[0], 403)
        equal(server.get("/v1/streams")["streams"], [], "nothing was made for it")


def test_names_pointed_at_loopback(case: Case):
    with Server(case) as server:
        get = lambda host: server.request("GET", "/v1/streams", headers={"Host": host})
        for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "192.168.0.1"):
            error_of(get(host), 403, "forbidden", "Host")
        for host in ("localhost", f"localhost:{server.port}", "127.0.0.1", "[::1]:9", "LOCALHOST:9000"):
            equal(get(host)[0], 200, host)
    key = new_key(case, "r", "read")
    with Server(case, "--keys", "keys.json") as server:
        equal(server.request("GET", "/v1/streams", headers={"Host": "cam.example", **bearer(key)})[0], 200)


# ---- uploads ----

def test_uploads(case: Case):
    folder = case.folder / "data" / "manako" / "uploads"
    folder.mkdir(parents=True)
    (folder / ".part-up-00000000000000000000000000000000").write_bytes(b"half")
    (folder / "stranger.txt").write_text("not ours")
    content = os.urandom(5 << 20)
    with Server(case) as server:
        assert not (folder / ".part-up-00000000000000000000000000000000").exists(), "left from a run that was cut"
        equal(server.get("/v1/uploads")["uploads"], [])
        status, made, _ = server.request("POST", "/v1/uploads", content)
        equal((status, made["bytes"]), (201, len(content)))
        equal((folder / made["name"]).read_bytes(), content)
        equal((folder / made["name"]).stat().st_mode & 0o777, 0o600)
        equal(server.get("/v1/uploads")["uploads"], [made])
        error_of(server.request("POST", "/v1/uploads", b""), 400, "bad_input")
        form = server.request("POST", "/v1/uploads", b"--x--", headers={"Content-Type": "multipart/form-data; boundary=x"})
        contains(error_of(form, 400, "usage", "Content-Type"), "not a form")
    with Server(case) as server:
        equal(server.get("/v1/uploads")["uploads"][0]["name"], made["name"], "after a restart")
        for name in ("stranger.txt", "..", "%2e%2e%2ftimeline.db", "up-x", "..%2f..%2f", made["name"].upper()):
            assert server.request("DELETE", f"/v1/uploads/{name}")[0] in (400, 404, 405), name
        equal(server.request("DELETE", f"/v1/uploads/{made['name']}")[0], 204)
        equal(server.request("DELETE", f"/v1/uploads/{made['name']}")[0], 404)
        equal(sorted(p.name for p in folder.iterdir()), ["stranger.txt"])


def test_an_upload_becomes_a_stream(case: Case):
    clip = pathlib.Path(case.clip("three.mp4"))
    with Server(case) as server:
        name = server.request("POST", "/v1/uploads", clip.read_bytes())[1]["name"]
        status, stream, _ = server.request("POST", "/v1/streams", {"id": "film", "source": f"upload:{name}"})
        equal(status, 201, stream)
        wait_until("its captions", lambda: len(server.captions("film")) == 3)
        error_of(server.request("POST", "/v1/streams", {"source": "upload:up-" + "0" * 32}), 404, "not_found", "source")
        for source in ("upload:../timeline.db", "upload:", str(clip), "/etc/passwd", "../three.mp4", "file:///etc/passwd"):
            status = server.request("POST", "/v1/streams", {"source": source})[0]
            assert status in (400, 403, 404, 415), (source, status)


def test_upload_limits(case: Case):
    folder = case.folder / "data" / "manako" / "uploads"
    arguments = ("--upload-max", "100KiB", "--upload-quota", "150KiB", "--upload-count", "3")
    with Server(case, *arguments) as server:
        post = lambda size: server.request("POST", "/v1/uploads", b"x" * size)
        equal(post(100 << 10)[0], 201)
        error_of(post((100 << 10) + 1), 413, "limit")
        contains(error_of(post(60 << 10), 413, "limit"), "upload_quota")
        equal([post(1)[0], post(1)[0]], [201, 201])
        contains(error_of(post(1), 413, "limit"), "upload_count")
        wait_until("no partial files", lambda: len(list(folder.iterdir())) == 3)
        # without a length in front, the limit holds on the way
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        server.request("DELETE", f"/v1/uploads/{server.get('/v1/uploads')['uploads'][0]['name']}")
        try:
            connection.request("POST", "/v1/uploads", iter([b"x" * 65536] * 8), encode_chunked=True,
                               headers={"Transfer-Encoding": "chunked"})
            equal(connection.getresponse().status, 413)
        except (BrokenPipeError, ConnectionResetError):
            pass
        wait_until("no partial files", lambda: not [p for p in folder.iterdir() if p.name.startswith(".part-")])
    with Server(case, "--upload-max", "0") as server:
        error_of(server.request("POST", "/v1/uploads", b"x"), 403, "forbidden")


def test_an_upload_that_breaks_off(case: Case):
    folder = case.folder / "data" / "manako" / "uploads"
    with Server(case) as server:
        for _ in range(5):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)
            wait_until("the partial file", lambda: list(folder.iterdir()))
            client.close()
            wait_until("its removal", lambda: not list(folder.iterdir()))
        equal(server.get("/v1/uploads")["uploads"], [])
        # what broke off does not count against the quota
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)
        wait_until("the partial file", lambda: list(folder.iterdir()))
    assert not list(folder.iterdir()), "the server's end leaves none either"


def test_an_upload_that_cannot_be_written(case: Case):
    folder = case.folder / "data" / "manako" / "uploads"
    with Server(case) as server:
        pid, (soft, hard) = server.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (64 << 10, hard))
        try:
            contains(error_of(server.request("POST", "/v1/uploads", b"x" * (1 << 20)), 503, "unavailable"), "large")
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered while the body was on its way
        wait_until("no partial files", lambda: not list(folder.iterdir()))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        equal(server.request("POST", "/v1/uploads", b"x" * (1 << 20))[0], 201)


def test_many_uploads_at_once(case: Case):
    with Server(case) as server:
        contents = [os.urandom(300000 + number) for number in range(12)]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            made = list(pool.map(lambda c: server.request("POST", "/v1/uploads", c), contents))
        for content, (status, upload, _) in zip(contents, made):
            equal(status, 201)
            equal((case.folder / "data" / "manako" / "uploads" / upload["name"]).read_bytes(), content, "content")
        idle = []
        for _ in range(16):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
            idle.append(client)
        wait_until("a refusal", lambda: server.request("POST", "/v1/uploads", b"x")[0] == 503)
        for client in idle:
            client.close()
        wait_until("room again", lambda: server.request("POST", "/v1/uploads", b"x")[0] == 201)


# ---- reload ----

def test_reload(case: Case):
    config = pathlib.Path(case.path("config.yaml"))
    config.write_text("upload_max: 1KiB\n")
    reader = new_key(case, "r", "read")
    with Server(case, "--keys", "keys.json") as server:
        admin = new_key(case, "a", "admin")
        post = lambda: server.request("POST", "/v1/uploads", b"x" * 2000, headers=bearer(admin))[0]
        equal(post(), 401)
        hangup(server, "were read again")
        equal(post(), 413)
        config.write_text("upload_max: 1MiB\nheader_max: 2KiB\n")
        hangup(server, "were read again")
        equal(post(), 201)
        contains("".join(server.lines), "option=header-max", "next start")
        # a bad file changes nothing
        config.write_text("upload_max: 2KiB\nupload_mix: 5\n")
        contains(hangup(server, "nothing was changed"), "config.yaml", "2", "upload_mix")
        equal(post(), 201)
        config.write_text("upload_max: 1KiB\n")
        keys = pathlib.Path(case.path("keys.json"))
        sound = keys.read_text()
        keys.write_text(sound[:-10])
        contains(hangup(server, "nothing was changed"), "keys.json")
        equal(post(), 201)
        equal(server.request("GET", "/v1/streams", headers=bearer(reader))[0], 200)
        # a key that is withdrawn
        listing = json.loads(sound)
        listing["keys"] = listing["keys"][1:]
        keys.write_text(json.dumps(listing))
        hangup(server, "were read again")
        equal(server.request("GET", "/v1/streams", headers=bearer(reader))[0], 401)
        equal(post(), 413)


def test_reload_keeps_the_order_of_precedence(case: Case):
    config = pathlib.Path(case.path("config.yaml"))
    config.write_text("upload_max: 1KiB\nupload_quota: 1MiB\n")
    case.env["MANAKO_UPLOAD_QUOTA"] = "3KiB"
    with Server(case, "--upload-max", "2KiB") as server:
        post = lambda size: server.request("POST", "/v1/uploads", b"x" * size)[0]
        equal((post(2048), post(2049)), (201, 413), "the command line before the file")
        config.write_text("upload_max: 1MiB\nupload_quota: 1MiB\n")
        hangup(server, "were read again")
        equal((post(2049), post(2000)), (413, 413), "the command line and the environment before the file")
        equal(post(1000), 201)


def test_dotenv(case: Case):
    pathlib.Path(case.path(".env")).write_text(
        "# as the prototype has it\nSTREAMING_DVC_ALLOW_ORIGINS='https://good.example'\nMANAKO_UPLOAD_MAX=1KiB\n")
    case.env["MANAKO_UPLOAD_MAX"] = "2KiB"
    with Server(case) as server:
        equal(server.request("GET", "/version", headers={"Origin": "https://good.example"})[0], 200)
        equal(server.request("POST", "/v1/uploads", b"x" * 2000)[0], 201, "the environment before .env")


# ---- start and end ----

def test_refusal_to_bind(case: Case):
    for host in ("0.0.0.0", "::"):
        result = case.run("serve", "--port", "0", "--host", host)
        equal(result.status, 3)
        contains(result.err, "without keys", "--keys", "--allow-public")
    with Server(case, "--host", "0.0.0.0", "--allow-public") as server:
        equal(server.request("GET", "/v1/streams", headers={"Host": "cam.example"})[0], 200)
    new_key(case, "r", "read")
    with Server(case, "--host", "0.0.0.0", "--keys", "keys.json") as server:
        equal(server.request("GET", "/v1/streams")[0], 401)
        pathlib.Path(case.path("keys.json")).unlink()
        contains(hangup(server, "nothing was changed"), "keys.json")
        equal(server.request("GET", "/v1/streams")[0], 401)


def test_a_second_server_on_the_port(case: Case):
    with Server(case) as server:
        result = case.run("serve", "--port", server.port)
        equal(result.status, 8, result.err)
        contains(result.err, str(server.port))
        equal(server.get("/healthz")["status"], "ok")


def test_bad_starts(case: Case):
    for arguments, status, words in (
            (("--keys", "nothing.json"), 3, ("nothing.json",)),
            (("nothing.mp4",), 4, ("nothing.mp4",)),
            (("--backend", "gemini"), 3, ("gemini",)),
            (("--outbound-allow", "10.0.0.0/99"), None, ("10.0.0.0/99",)),
            (("--host", "192.0.2.1", "--allow-public"), 8, ("192.0.2.1",)),
            (("--data-dir", "/dev/null/x"), 9, ("/dev/null/x",)),
            (("--no-such-option",), 2, ("no-such-option",))):
        result = case.run("serve", "--port", "0", *arguments)
        assert result.status == status or (status is None and result.status in (2, 3)), (arguments, result.status, result.err)
        contains(result.err, *words)
        assert "Manako is at" not in result.err, result.err


def test_check(case: Case):
    result = case.run("serve", "--check")
    equal(result.status, 0, result.out + result.err)
    contains(result.out, "keys", "timeline", "backend", "the embedded template")
    assert not (case.folder / "data").exists(), "a check makes nothing"
    pathlib.Path(case.path("bad.json")).write_text('{"keys": [{"name": "x"}]}')
    result = case.run("serve", "--check", "--keys", "bad.json", "--files-root", "nowhere", "--backend", "openai")
    equal(result.status, 3)
    contains(result.out, "bad.json", "keys[0]", "nowhere")
    contains(result.err, "3 problems")
    with Server(case) as server:
        equal(case.run("serve", "--check", "--port", server.port).status, 0, "beside a server that runs")


def test_interrupt(case: Case):
    for sign in (signal.SIGINT, signal.SIGTERM):
        server = Server(case)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        server.process.send_signal(sign)
        equal(ended(server), 0, f"status after {sign.name} with an idle connection")


def test_drain(case: Case):
    # a worker that hangs keeps its stream from ending, so that the drain takes its whole time
    server = Server(case, "--drain", "12", "--worker-fault", "hang@0", "--realtime", "--loop", case.clip("three.mp4"))
    wait_until("the stream", lambda: server.get("/v1/streams")["streams"])
    server.process.send_signal(signal.SIGTERM)
    health = wait_until("draining", lambda: next(
        (a for a in [server.request("GET", "/healthz")] if a[1]["status"] == "draining"), None))
    equal(health[0], 503)
    assert int(health[2].getheader("Retry-After")) > 0
    error_of(server.request("POST", "/v1/streams", {"source": "push"}), 503, "unavailable")
    error_of(server.request("POST", "/v1/uploads", b"x"), 503, "unavailable")
    equal(server.request("GET", "/v1/streams")[0], 200, "what is there can still be read")
    equal(ended(server), 0)

def test_words_at_the_end(case: Case):
    server = Server(case)
    with Client(server) as client, Client(server) as quiet:
        client.say(type="hello", stream="door")
        client.hear_type("hello")
        client.send(frame(0, 0.0, jpeg("red")))
        client.hear_type("ack")
        with server.events("/v1/streams/door/events") as events:
            server.process.send_signal(signal.SIGTERM)
            heard = [name for name, _, _ in events]
            equal(heard[-1], "bye")
            assert "caption" in heard, heard
        client.drain()
        assert client.of("caption"), client.messages
        quiet.drain()
        equal((client.code, quiet.code), (1001, 1001))
    equal(ended(server), 0)



def test_a_second_interrupt(case: Case):
    server = Server(case, "--drain", "60", "--worker-fault", "hang@0", "--realtime", "--loop", case.clip("three.mp4"))
    wait_until("the stream", lambda: server.get("/v1/streams")["streams"])
    server.process.send_signal(signal.SIGINT)
    wait_until("draining", lambda: server.request("GET", "/healthz")[0] == 503)
    server.process.send_signal(signal.SIGINT)
    equal(ended(server), 130)


def test_captions_in_the_terminal(case: Case):
    with Server(case, "--print-captions", case.clip("three.mp4")) as server:
        wait_until("three captions", lambda: len(server.out) == 3)
        assert all(line.startswith("three  [0:") for line in server.out), server.out
        equal(len(server.captions("three")), 3)


def test_words_to_the_service_manager(case: Case):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(case.path("notify"))
        manager.settimeout(60)
        with Server(case, environment={"NOTIFY_SOCKET": case.path("notify"), "WATCHDOG_USEC": "1000000"}) as server:
            signs_of_life = []

            def hear():
                while (said := manager.recv(4096).decode()) == "WATCHDOG=1":
                    signs_of_life.append(said)
                return said

            contains(hear(), "READY=1", f":{server.port}/")
            while not signs_of_life:
                signs_of_life += [x for x in [manager.recv(4096)] if x == b"WATCHDOG=1"]
            server.process.send_signal(signal.SIGHUP)
            contains(hear(), "RELOADING=1", "MONOTONIC_USEC=")
            equal(hear(), "READY=1")
            server.process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in manager.recv(4096).decode():
                pass
            equal(ended(server), 0)


def test_standard_output_that_closes(case: Case):
    reading, writing = os.pipe()
    os.close(reading)
    clip = case.clip("three.mp4")
    process = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--print-captions", clip], stdout=writing,
                               stderr=subprocess.PIPE, env=case.env, cwd=case.folder, text=True)
    os.close(writing)
    line = process.stderr.readline()
    contains(line, "Manako is at")
    server = object.__new__(Server)
    server.process, server.lines, server.port = process, [], int(line.rsplit(":", 1)[1].strip(" /\n"))
    wait_until("captions", lambda: len(server.captions("three")) == 3)
    equal(server.stop(), 12, "it went on, and says at its end that lines were lost")


main([value for name, value in list(globals().items()) if name.startswith("test_")])
