"""Plays the remote services for tests, on the loopback interface only, with every fault they can have.

    fault_server.py [--key KEY]

Prints its port on the first line of standard output; ends with its standard input, or after ten
minutes. As a module: FaultServer().

It plays Gemini (/v1beta/models/...; questions are streamed), Vertex (/v1/projects/.../models/...), Google's token endpoint
(/token), a text encoder's endpoint (/v1/projects/.../endpoints/ID:predict) and an OpenAI-compatible
service (/v1/chat/completions, /v1/models). Every request is checked against what such a service
wants; one that is wrong is answered 400 with what is wrong. Keys: KEY for Gemini and OpenAI, tokens
that /token gave, or KEY, for Vertex.

Which fault comes next is said by, in this order:
    the path     /f/FAULT/v1/... as the base URL
    the model    fault-FAULT
    POST /fault  {"next": ["429-retryinfo", "ok"], "always": "503", "on": "generate"}
                 next: one for each request; always: when there is no next; on: which requests it
                 is about: generate (the default), ask (questions), check, token, predict
POST /fault may also have "text": what the model answers, as it is; and "top": [[token, probability], ...],
the candidates for its first token, which a request that asks for them is told, as many as it asks for.
Faults of such requests: no-logprobs (refused), few-logprobs (more than 5 are), unnamed-logprobs (refused
without saying what), extra-logprobs (refused with 422), silent-logprobs (left out of the reply).
GET /log     [{"service", "kind", "model", "fault", "problems", ...}] of all requests
POST /reset  forgets the faults and the log
GET /account a service account's key file; its token_uri is this server's /token
GET /state   {"canary": how often a redirect was followed, "tokens": how many were given}
"""
import argparse
import base64
import http.server
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from service_replies import (ANSWER, ECHO, KEY, google_candidates, google_error, google_reply, model_text,
                             openai_candidates, openai_reply, stream_parts)
from service_requests import (Problems, check_google, check_google_question, check_openai, check_openai_question,
                              is_question)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def unpad(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# ---- The server ----

class State:
    def __init__(self, key):
        self.key = key
        self.lock = threading.Lock()
        self.canary = 0
        self.tokens = []
        self.secret_pem = self.public_pem = None
        self.reset()

    def reset(self):
        self.next, self.always, self.text, self.top, self.log = {}, {}, None, [], []

    def take_fault(self, kind):
        with self.lock:
            waiting = self.next.get(kind)
            return waiting.pop(0) if waiting else self.always.get(kind, "ok")

    def make_key(self):
        with self.lock:
            if self.secret_pem is None:
                self.secret_pem = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                                                 check=True, capture_output=True, text=True).stdout
                self.public_pem = subprocess.run(["openssl", "pkey", "-pubout"], input=self.secret_pem, check=True,
                                                 capture_output=True, text=True).stdout
        return self.secret_pem

    def signature_is_good(self, text, signature):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, name) for name in ("key", "signature")]
            for path, data in zip(paths, (self.public_pem.encode(), signature)):
                with open(path, "wb") as out:
                    out.write(data)
            run = subprocess.run(["openssl", "dgst", "-sha256", "-verify", paths[0], "-signature", paths[1]],
                                 input=text, capture_output=True, check=False)
            return run.returncode == 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = None  # set by FaultServer

    def log_message(self, *_):
        pass

    # -- Answers --

    def answer(self, status, content, headers=(), kind="application/json"):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        # A client may silently repeat a request that a kept connection lost: each gets its own.
        self.send_header("Connection", "close")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def reset_connection(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def trickle(self, data, pause):
        try:
            for i in range(len(data)):
                self.wfile.write(data[i:i + 1])
                self.wfile.flush()
                time.sleep(pause)
        except OSError:
            pass
        self.close_connection = True

    def transport_fault(self, fault, reply):
        """Faults that any service can have. TRUE: answered, or left without an answer."""
        data = json.dumps(reply).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        if fault == "hang":
            self.hang()
        elif fault == "reset":
            self.reset_connection()
        elif fault == "close":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "cut-body":
            self.wfile.write(head + data[:len(data) // 2])
            self.close_connection = True
        elif fault == "slow-body":
            self.wfile.write(head)
            self.trickle(data, 0.05)
        elif fault == "stall-body":
            self.wfile.write(head + data[:10])
            self.hang()
        elif fault == "slow-head":
            self.trickle(head + data, 0.05)
        elif fault == "huge":
            self.answer(200, b'{"x":"' + b"a" * 10_000_000 + b'"}')
        elif fault == "garbage":
            self.wfile.write(b"\x00\x01SSH-2.0\r\n\r\n")
            self.close_connection = True
        elif fault == "redirect":
            self.answer(302, {}, [("Location", f"http://127.0.0.1:{self.server.server_port}/canary")])
        elif fault == "html-200":
            self.answer(200, b"<html><body>Sign in to the network</body></html>", kind="text/html")
        elif fault == "html-503":
            self.answer(503, b"<html><body><script>alert(1)</script>\x1b[31m down</body></html>", kind="text/html")
        elif fault == "bad-envelope":
            self.answer(200, {"hello": "world"})
        else:
            return False
        return True

    # -- Streams --

    def stream_whole(self, data, kind):
        self.answer(200, data, kind=kind)

    def stream_refused(self, fault, service, parsed, streamed):
        """TRUE: answered that no stream can be had, or not with such options."""
        if fault == "no-stream" and streamed:
            if service == "openai":
                self.answer(400, {"error": {"message": "streaming is not supported", "type": "invalid_request_error"}})
            else:
                self.answer(404, b"404 page not found", kind="text/plain")
            return True
        if fault == "no-stream-options" and "stream_options" in parsed:
            self.answer(400, {"error": {"message": "unknown field stream_options", "type": "invalid_request_error"}})
            return True
        return False

    def candidates_refused(self, fault, service, wanted):
        """TRUE: answered that the candidates for the first token cannot be had, or not so many."""
        openai = service == "openai"
        said = "top_logprobs: at most 5" if openai else "Logprobs is not enabled for this model"
        status, message = {"no-logprobs": (400, said), "unnamed-logprobs": (400, "Extra inputs are not permitted"),
                           "extra-logprobs": (422, "Extra inputs are not permitted"),
                           "few-logprobs": (400, said if wanted > 5 else None)}.get(fault, (400, None))
        if not wanted or not message:
            return False
        self.answer(status, {"error": {"message": message, "type": "invalid_request_error"}} if openai
                    else google_error(status, "INVALID_ARGUMENT", message))
        return True

    def write_chunk(self, data):
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
        self.wfile.flush()

    def stream(self, fault, google, text, usage):
        parts, after = stream_parts(fault, google, text, usage)
        if fault == "json-array":
            self.answer(200, parts)
            return
        end = "\r\n" if fault == "crlf" else "\n"
        events = []
        for part in parts:
            data = part if isinstance(part, str) else json.dumps(part, ensure_ascii=fault not in ("split", "wrong-type"))
            events.append(f": a comment{end}data: {data}{end}{end}".encode())
        if fault == "no-blank-line":
            events[-1] = events[-1].rstrip()
        if fault == "wrong-type":
            self.answer(200, b"".join(events), kind="text/plain")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        for event in events:
            if fault == "split":
                for i in range(0, len(event), 7):
                    self.write_chunk(event[i:i + 7])
            else:
                self.write_chunk(event)
            if fault == "slow":
                time.sleep(0.2)
        if after:
            time.sleep(0.1)  # so that what came before is not lost with the connection
        if after == "hang":
            self.hang()
        elif after == "reset":
            self.reset_connection()
        elif after != "cut":
            self.wfile.write(b"0\r\n\r\n")

    def ask(self, service, model, parsed, forced, streamed):
        fault = self.fault_of("ask", model, forced)
        google = service != "openai"
        problems, summary = check_google_question(parsed) if google else check_openai_question(parsed)
        self.note({"service": service, "kind": "ask", "model": model, "fault": fault, "problems": problems,
                   "streamed": streamed, "accept": self.headers.get("Accept"), **summary})
        if problems:
            self.answer(400, google_error(400, "INVALID_ARGUMENT", "; ".join(problems)))
            return
        text = self.state.text if self.state.text is not None else ECHO if fault == "echo" else ANSWER
        reply = (google_reply if google else openai_reply)(fault, summary, text)
        if (self.transport_fault(fault, reply) or self.status_fault(fault) or
                self.stream_refused(fault, service, parsed, streamed) or
                self.candidates_refused(fault, service, summary["candidates"])):
            return
        if summary["candidates"] and fault != "silent-logprobs":
            (google_candidates if google else openai_candidates)(reply, self.state.top[:summary["candidates"]])
        if streamed and fault != "plain-json":
            self.stream(fault, google, text, summary.get("usage"))
        else:
            self.answer(200, reply)

    def hang(self):
        self.server.stopping.wait(60)
        self.close_connection = True

    def status_fault(self, fault):
        """Statuses with a service's own error body. TRUE: answered."""
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.15s"}
        key = self.headers.get("x-goog-api-key") or self.headers.get("Authorization") or ""
        table = {
            "429": (429, "RESOURCE_EXHAUSTED", "Too many requests", [], []),
            "429-retryinfo": (429, "RESOURCE_EXHAUSTED", "Quota exceeded", [info], []),
            "429-retry-after": (429, "RESOURCE_EXHAUSTED", "Quota exceeded", [], [("Retry-After", "1")]),
            "429-long": (429, "RESOURCE_EXHAUSTED", "Daily quota exceeded", [], [("Retry-After", "3600")]),
            "500": (500, "INTERNAL", "An internal error", [], []),
            "503": (503, "UNAVAILABLE", "The model is overloaded", [], []),
            "504": (504, "DEADLINE_EXCEEDED", "Too slow", [], []),
            "400": (400, "INVALID_ARGUMENT", "Unable to process the input image", [], []),
            "400-place": (400, "FAILED_PRECONDITION", "User location is not supported", [], []),
            "401": (401, "UNAUTHENTICATED", f"Invalid credentials: {key}", [], []),
            "403": (403, "PERMISSION_DENIED", f"Denied for key {key[-20:]}", [], []),
            "404": (404, "NOT_FOUND", "models/x is not found for API version v1beta", [], []),
            "413": (413, "INVALID_ARGUMENT", "Request too large", [], []),
            "ansi-500": (500, "INTERNAL", ECHO, [], []),
            "key-echo-500": (500, "INTERNAL", f"while handling {key} and {self.state.key} and {self.state.key[3:15]}", [], []),
        }
        if fault not in table:
            return False
        status, name, message, details, headers = table[fault]
        self.answer(status, google_error(status, name, message, details), headers)
        return True

    # -- Requests --

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def handle_request(self, method):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = self.path.partition("?")[0]
        forced = None
        match = re.match(r"/f/([a-z0-9-]+)(/.*)$", path)
        if match:
            forced, path = match.groups()
        try:
            self.route(method, path, body, forced)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except (KeyError, TypeError, ValueError, IndexError) as error:
            self.note({"service": "?", "kind": "?", "problems": [f"{path}: {error!r}"]})
            self.answer(400, google_error(400, "INVALID_ARGUMENT", f"bad request: {error!r}"))

    def route(self, method, path, body, forced):
        control = {("POST", "/fault"): self.set_faults, ("POST", "/reset"): self.do_reset, ("GET", "/log"): self.give_log,
                   ("GET", "/account"): self.give_account, ("GET", "/state"): self.give_state, ("GET", "/canary"): self.sing,
                   ("POST", "/canary"): self.sing}
        if (method, path) in control:
            control[method, path](body)
            return
        routes = [
            ("POST", r"/token()", self.token),
            ("GET", r"/v1beta/models/([^/:]+)", self.gemini_check),
            ("POST", r"/v1beta/models/([^/:]+):(?:g|streamG)enerateContent", self.gemini),
            ("POST", r"/v1/projects/[^/]+/locations/[^/]+/publishers/google/models/([^/:]+):countTokens", self.vertex_check),
            ("POST", r"/v1/projects/[^/]+/locations/[^/]+/publishers/google/models/([^/:]+):(?:g|streamG)enerateContent", self.vertex),
            ("POST", r"/v1/projects/[^/]+/locations/[^/]+/endpoints/([^/:]+):predict", self.predict),
            ("GET", r"/v1/models()", self.openai_check),
            ("POST", r"/v1/chat/completions()", self.openai),
        ]
        for verb, pattern, handler in routes:
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                handler(match.group(1), body, forced)
                return
        self.note({"service": "?", "kind": "?", "problems": [f"no such route: {method} {path}"]})
        self.answer(404, google_error(404, "NOT_FOUND", f"no such route: {method} {path}"))

    def note(self, entry):
        with self.state.lock:
            self.state.log.append(entry)

    def fault_of(self, kind, model, forced):
        if forced:
            return forced
        return model.removeprefix("fault-") if model.startswith("fault-") else self.state.take_fault(kind)

    # -- Control --

    def set_faults(self, body):
        wish = json.loads(body or b"{}")
        kind = wish.get("on", "generate")
        with self.state.lock:
            self.state.next[kind] = list(wish.get("next", []))
            self.state.always[kind] = wish.get("always", "ok")
            self.state.text = wish.get("text")
            self.state.top = wish.get("top", [])
        self.answer(200, {})

    def do_reset(self, _):
        with self.state.lock:
            self.state.reset()
        self.answer(200, {})

    def give_log(self, _):
        with self.state.lock:
            log = list(self.state.log)
        self.answer(200, log)

    def give_state(self, _):
        self.answer(200, {"canary": self.state.canary, "tokens": len(self.state.tokens)})

    def give_account(self, _):
        self.answer(200, {
            "type": "service_account", "project_id": "test-project", "private_key_id": "key-1",
            "private_key": self.state.make_key(), "client_email": "manako@test-project.iam.gserviceaccount.com",
            "client_id": "1", "token_uri": f"http://127.0.0.1:{self.server.server_port}/token"})

    def sing(self, _):
        self.state.canary += 1
        self.answer(200, {})

    # -- Google --

    def google_key_is_good(self):
        if self.headers.get("x-goog-api-key") == self.state.key:
            return True
        reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        self.answer(400, google_error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", [reason]))
        return False

    def token_is_good(self):
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        with self.state.lock:
            good = scheme == "Bearer" and (token == self.state.key or token in self.state.tokens)
        if not good:
            self.answer(401, google_error(401, "UNAUTHENTICATED", f"Invalid token {token}"))
        return good

    def gemini_check(self, model, body, forced):
        fault = self.fault_of("check", model, forced)
        self.note({"service": "gemini", "kind": "check", "model": model, "fault": fault, "problems": []})
        reply = {"name": f"models/{model}", "supportedGenerationMethods": ["generateContent", "countTokens"]}
        if fault == "no-generate":
            reply["supportedGenerationMethods"] = ["embedContent"]
        if self.google_key_is_good() and not self.transport_fault(fault, reply) and not self.status_fault(fault):
            self.answer(200, reply)

    def gemini(self, model, body, forced):
        if self.google_key_is_good():
            self.generate("gemini", model, body, forced)

    def vertex_check(self, model, body, forced):
        fault = self.fault_of("check", model, forced)
        self.note({"service": "vertex", "kind": "check", "model": model, "fault": fault, "problems": []})
        if self.token_is_good() and not self.transport_fault(fault, {}) and not self.status_fault(fault):
            self.answer(200, {"totalTokens": 1})

    def vertex(self, model, body, forced):
        if self.token_is_good():
            self.generate("vertex", model, body, forced)

    def generate(self, service, model, body, forced):
        parsed = json.loads(body)
        openai = service == "openai"
        if is_question(parsed):
            streamed = parsed["stream"] if openai else self.path.endswith(":streamGenerateContent?alt=sse")
            self.ask(service, model, parsed, forced, streamed)
            return
        fault = self.fault_of("generate", model, forced)
        problems, summary = check_openai(parsed) if openai else check_google(parsed)
        self.note({"service": service, "kind": "generate", "model": model, "fault": fault, "problems": problems,
                   "size": len(body), **summary})
        if problems:
            self.answer(400, google_error(400, "INVALID_ARGUMENT", "; ".join(problems)))
            return
        text = self.state.text if self.state.text is not None else model_text(fault, summary)
        reply = (openai_reply if openai else google_reply)(fault, summary, text)
        if self.transport_fault(fault, reply) or self.status_fault(fault) or (openai and self.openai_fault(fault, parsed)):
            return
        self.answer(200, reply)

    def token(self, _, body, forced):
        fault = self.fault_of("token", "", forced)
        form = dict(urllib.parse.parse_qsl(body.decode()))
        problems = Problems()
        problems.expect(form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer", "grant_type")
        head, claims, signature = form["assertion"].split(".")
        header, says = json.loads(unpad(head)), json.loads(unpad(claims))
        problems.expect(header == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}, f"header {header}")
        problems.expect("=" not in form["assertion"], "padding")
        problems.expect(says["iss"] == "manako@test-project.iam.gserviceaccount.com" and says["scope"] == SCOPE, "claims")
        problems.expect(says["aud"].endswith("/token") and says["exp"] - says["iat"] <= 3600, "aud or exp")
        problems.expect(abs(says["iat"] - time.time()) < 60, "iat")
        problems.expect(self.state.signature_is_good(f"{head}.{claims}".encode(), unpad(signature)), "signature")
        self.note({"service": "token", "kind": "token", "fault": fault, "problems": problems})
        if self.transport_fault(fault, {}) or self.status_fault(fault):
            return
        if problems or fault == "invalid-grant":
            self.answer(400, {"error": "invalid_grant", "error_description": "Invalid JWT: " + "; ".join(problems)})
            return
        with self.state.lock:
            self.state.tokens.append(f"ya29.test-token-{len(self.state.tokens)}-{os.urandom(8).hex()}")
            token = self.state.tokens[-1]
            if fault == "short-life":
                reply = {"access_token": token, "expires_in": 1, "token_type": "Bearer"}
            elif fault == "dead":
                self.state.tokens[-1] = "revoked"
                reply = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
            elif fault == "bad-token":
                reply = {"access_token": "a b\r\nX-Evil: 1", "expires_in": 3599}
            else:
                reply = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        self.answer(200, reply)

    def predict(self, endpoint, body, forced):
        fault = self.fault_of("predict", endpoint, forced)
        if not self.token_is_good():
            return
        texts = [item["content"] for item in json.loads(body)["instances"]]
        self.note({"service": "predict", "kind": "predict", "model": endpoint, "fault": fault, "problems": [], "texts": texts})
        vectors = [[float(len(text)), 1.0, -2.0, 0.5] for text in texts]
        shapes = {"nested": lambda v: [v], "values": lambda v: {"values": v},
                  "embeddings": lambda v: {"embeddings": {"values": v, "statistics": {"token_count": 3}}},
                  "zero": lambda v: [0.0] * 4, "words": lambda v: ["a", "b"], "nothing": lambda v: []}
        predictions = [shapes.get(fault, lambda v: v)(vector) for vector in vectors]
        if fault == "fewer":
            predictions = predictions[:-1]
        elif fault == "uneven":
            predictions[-1] = [1.0]
        reply = {"predictions": predictions, "deployedModelId": "1"}
        if not self.transport_fault(fault, reply) and not self.status_fault(fault):
            self.answer(200, reply)

    # -- OpenAI --

    def openai_key_is_good(self):
        if self.headers.get("Authorization") == f"Bearer {self.state.key}":
            return True
        shown = self.headers.get("Authorization", "")
        self.answer(401, {"error": {"message": f"Incorrect API key provided: {shown}", "type": "invalid_request_error"}})
        return False

    def openai_check(self, _, body, forced):
        fault = self.fault_of("check", "", forced)
        self.note({"service": "openai", "kind": "check", "fault": fault, "problems": []})
        reply = {"object": "list", "data": [{"id": "test-model", "object": "model"}]}
        if fault == "no-list":
            self.answer(404, b"404 page not found", kind="text/plain")
        elif self.openai_key_is_good() and not self.transport_fault(fault, reply) and not self.status_fault(fault):
            self.answer(200, reply)

    def openai_fault(self, fault, body):
        """What such a service refuses in a request."""
        form = body.get("response_format", {}).get("type")
        refused = {
            "no-schema": form == "json_schema" and "response_format json_schema is not supported",
            "no-format": form is not None and "unknown field response_format",
            "new-tokens": "max_tokens" in body and "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "no-temperature": "temperature" in body and "Unsupported value: 'temperature' does not support 0.2",
        }.get(fault)
        if refused:
            self.answer(400, {"error": {"message": refused, "type": "invalid_request_error"}})
        return bool(refused)

    def openai(self, _, body, forced):
        if self.openai_key_is_good():
            self.generate("openai", json.loads(body)["model"], body, forced)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # hanging answers must not hold up the end
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that goes away is no news


class FaultServer:
    """The server in this process: with FaultServer() as server: server.port, server.state."""

    def __init__(self, key=KEY):
        self.state = State(key)
        handler = type("BoundHandler", (Handler,), {"state": self.state})
        self.http = Server(("127.0.0.1", 0), handler)
        self.http.stopping = threading.Event()
        self.port = self.http.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.http.stopping.set()
        self.http.shutdown()
        self.http.server_close()

    def faults(self, *names, always="ok", on="generate"):
        with self.state.lock:
            self.state.next[on], self.state.always[on] = list(names), always


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", default=KEY)
    server = FaultServer(parser.parse_args().key)
    print(server.port, flush=True)
    timer = threading.Timer(600, lambda: os._exit(1))
    timer.daemon = True
    timer.start()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
