"""What tests of the running server share: a server of the test's own, and its clients."""
import asyncio
import base64
import concurrent.futures
import contextlib
import http.client
import io
import json
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

import websockets.client
import websockets.exceptions

import tap
from tap import PATIENCE, wait_until

# All connections live in one event loop of their own; tests are written as they are read.
_loop = asyncio.new_event_loop()
threading.Thread(target=_loop.run_forever, daemon=True).start()


def run(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, _loop).result(2 * PATIENCE)


class Server:
    """`manako serve` in the case's folder, on a port of its own."""

    listener = None  # the thread that reads what it writes

    def __init__(self, case, *arguments, port=0, environment=(), prefix=()):
        self.case, self.arguments, self.lines = case, [*map(str, arguments)], []
        self.prefix = [*map(str, prefix)]  # a command that runs it
        self.port = port
        self.environment = dict(environment)
        self.start()

    def start(self):
        command = [*self.prefix, tap.PROGRAM, "serve", "--port", str(self.port), "--log-level", "warning", *self.arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**self.case.env, **self.environment}, cwd=self.case.folder)
        self.out = []
        threading.Thread(target=lambda: self.out.extend(self.process.stdout), daemon=True).start()
        ready = threading.Event()
        self.listener = threading.Thread(target=self._listen, args=(self.process.stderr, ready), daemon=True)
        self.listener.start()
        if not ready.wait(PATIENCE) or not self.port:
            self.kill()
            raise AssertionError("the server does not start:\n" + "".join(self.lines))

    def _listen(self, stream, ready):
        for line in stream:
            self.lines.append(line)
            found = re.search(r"http://[^ /]*:(\d+)/", line)
            if found and not ready.is_set():
                self.port = int(found.group(1))
                ready.set()
        ready.set()

    def said(self):
        """All that it wrote, once it has ended."""
        if self.listener:
            self.listener.join(PATIENCE)
        return "".join(self.lines)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the status, after the sanitizers had their say."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise AssertionError("the server does not end:\n" + "".join(self.lines)) from None
        tap.check_sanitizers(self.said())
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        status = self.stop()
        if kind is None:
            assert status == 0, f"the server ended with {status}:\n" + "".join(self.lines[-40:])

    # ---- HTTP ----

    def request(self, method, path, body=None, headers=(), raw=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        data = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        sent = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, data, {**sent, **dict(headers)})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if not raw and "json" in (answer.getheader("Content-Type") or ""):
            content = json.loads(content)
        return answer.status, content, answer

    def get(self, path, **options):
        status, content, _ = self.request("GET", path, **options)
        assert status == 200, f"GET {path}: {status} {content!r}"
        return content

    def stream(self, name):
        return self.get(f"/v1/streams/{name}")

    def captions(self, name):
        return self.get(f"/v1/streams/{name}/captions?limit=10000")["captions"]

    # ---- WebSocket ----

    def connect(self, path="/ws/stream", receive_buffer=None, **options):
        """receive_buffer: bytes that the kernel keeps of what is not read."""
        if receive_buffer is not None:
            options["sock"] = socket.socket()
            options["sock"].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            options["sock"].connect(("127.0.0.1", self.port))

        async def connect():
            return await websockets.client.connect(
                f"ws://127.0.0.1:{self.port}{path}", max_size=1 << 26, compression=None, **options)
        return run(connect())

    # ---- server-sent events ----

    @contextlib.contextmanager
    def events(self, path, last_event_id=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, (answer.status, answer.read())
        try:
            yield read_events(answer)
        finally:
            connection.close()


def read_events(answer):
    """(event, id, data) as they come."""
    name, number, data = "message", None, []
    while line := answer.readline():
        line = line.decode().rstrip("\n").rstrip("\r")
        if not line:
            if data:
                yield name, number, json.loads("\n".join(data))
            name, number, data = "message", None, []
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            name = value
        elif key == "id":
            number = int(value)
        elif key == "data":
            data.append(value)


def keep_pace(server, name, clock_ms):
    """Waits until the stream has seen what lies at clock_ms, so that nothing has to be dropped."""
    def seen():
        status, stream, _ = server.request("GET", f"/v1/streams/{name}")
        return status == 200 and (stream["clock_ms"] >= clock_ms or stream["state"] == "ended")
    wait_until(f"{clock_ms} ms of {name}", seen)


# ---- pictures ----

_pictures = {}


def jpeg(colour="red", size=(320, 240)):
    """A plain picture, made by ffmpeg once."""
    if (colour, size) not in _pictures:
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
            tap.ffmpeg("-f", "lavfi", "-i", f"color=c={colour}:s={size[0]}x{size[1]}", "-frames:v", 1, "-q:v", 4,
                       file.name)
            _pictures[colour, size] = io.FileIO(file.name).readall()
    return _pictures[colour, size]


def frame(index, timestamp, picture):
    return json.dumps({"type": "frame", "frame_index": index, "timestamp": timestamp,
                       "image_base64": base64.b64encode(picture).decode()})


def packet(index, timestamp, picture):
    return struct.pack("!IdI", index, timestamp, len(picture)) + picture


class Client:
    """A client of /ws/stream that keeps what it was sent."""

    def __init__(self, server, path="/ws/stream", **options):
        self.socket = server.connect(path, **options)
        self.messages, self.code = [], None

    def say(self, **message):
        self.send(json.dumps(message))

    def send(self, message):
        run(self.socket.send(message))

    def hear(self, timeout=PATIENCE):
        """The next message; None when none comes in time, or the connection is closed."""
        try:
            message = json.loads(run(asyncio.wait_for(self.socket.recv(), timeout)))
        except (asyncio.TimeoutError, concurrent.futures.TimeoutError):
            return None
        except websockets.exceptions.ConnectionClosed as why:
            self.code = why.rcvd.code if why.rcvd else 1006
            return None
        self.messages.append(message)
        return message

    def hear_type(self, kind, where="type"):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.code is None:
            message = self.hear(until - time.monotonic())
            if message and message[where] == kind:
                return message
        raise AssertionError(f"no {kind} came; closed with {self.code}; last: {self.messages[-3:]}")

    def drain(self):
        """Hears all until the connection is closed."""
        while self.code is None:
            if self.hear() is None and self.code is None:
                raise AssertionError("the connection is not closed")
        return self.messages

    def of(self, kind):
        return [m for m in self.messages if m["type"] == kind]

    def close(self):
        run(self.socket.close())

    def cut(self):
        """Gone without a word."""
        async def cut():
            self.socket.transport.abort()
        run(cut())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.cut()


def quote(text):
    return urllib.parse.quote(text, safe="")
