"""The site for nginx: read by the real program, and really proxying to a small server."""
import asyncio
import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

import tap

SITE = pathlib.Path(os.environ["MANAKO_DEPLOY"]) / "nginx" / "manako.conf"
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
OPENSSL = shutil.which("openssl")
TIMEOUT = 30
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- The server behind ----

class Upstream:
    """Answers with what it was asked, in a thread of its own."""

    def __init__(self):
        self.requests = []
        self.uploading, self.released = threading.Event(), threading.Event()
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 20))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def close(self):
        if self.loop.is_closed():
            return

        async def stop():
            self.server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(TIMEOUT)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError,
                                 asyncio.CancelledError):
            while await self.serve_one(reader, writer):
                pass
        writer.close()

    async def serve_one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = line.split(" ")
        headers = [tuple(part.strip() for part in field.split(":", 1)) for field in fields]
        named = {name.lower(): value for name, value in headers}
        self.requests.append((method, target, headers))
        if named.get("upgrade") == "websocket":
            await self.echo_messages(reader, writer, named)
            return False
        if target.endswith("/events"):
            await self.send_events(writer)
            return False
        if target == "/released":
            self.released.set()
        body = await self.read_body(reader, named)
        answer = json.dumps({"method": method, "target": target, "headers": headers,
                             "length": len(body)}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer))
        await writer.drain()
        return True

    async def read_body(self, reader, named):
        if named.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
                self.uploading.set()
            await reader.readline()
            return body
        length, body = int(named.get("content-length", 0)), b""
        while len(body) < length:
            body += await reader.read(length - len(body))
            self.uploading.set()
        return body

    async def send_events(self, writer):
        """The second event is not sent before the first has come all the way."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                     b"id: 1\ndata: first\n\n")
        await writer.drain()
        while not self.released.is_set():
            await asyncio.sleep(0.01)
        writer.write(b"id: 2\ndata: second\n\n")
        await writer.drain()

    async def echo_messages(self, reader, writer, named):
        accept = base64.b64encode(hashlib.sha1(named["sec-websocket-key"].encode() + GUID).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % accept)
        opcode = 0
        while opcode != 8:
            first, second = await reader.readexactly(2)
            opcode, size = first & 15, second & 127
            if size == 126:
                size, = struct.unpack("!H", await reader.readexactly(2))
            elif size == 127:
                size, = struct.unpack("!Q", await reader.readexactly(8))
            mask = await reader.readexactly(4)
            data = await reader.readexactly(size)
            data = (int.from_bytes(data, "big")
                    ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")).to_bytes(size, "big")
            length = (bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)
                      if size < 65536 else b"\x7f" + struct.pack("!Q", size))
            writer.write(bytes([first]) + length + data)
            await writer.drain()


# ---- nginx ----

class Proxy:
    """nginx with the site as it is shipped, but for its addresses and places."""

    def __init__(self, folder, upstream_port):
        self.folder = pathlib.Path(folder)
        self.plain, self.tls = free_port(), free_port()
        self.log = self.folder / "access.log"
        subprocess.run([OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=manako.example", "-keyout", self.folder / "key.pem",
                        "-out", self.folder / "cert.pem"], check=True, capture_output=True)
        (self.folder / "site.conf").write_text(self.site(upstream_port))
        places = "".join(f"  {what}_temp_path {self.folder}/{what};\n" for what in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        self.config = self.folder / "nginx.conf"
        self.config.write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {self.folder}/pid;\n"
            f"error_log {self.folder}/error.log;\nevents {{ worker_connections 256; }}\n"
            f"http {{\n{places}  access_log off;\n  include {self.folder}/site.conf;\n}}\n")
        self.process = None

    def site(self, upstream_port):
        text = SITE.read_text()
        for old, new in {
                "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream_port};",
                "  listen 80;\n": f"  listen 127.0.0.1:{self.plain};\n",
                "  listen [::]:80;\n": "",
                "  listen 443 ssl http2;\n": f"  listen 127.0.0.1:{self.tls} ssl http2;\n",
                "  listen [::]:443 ssl http2;\n": "",
                "/etc/ssl/manako/fullchain.pem": f"{self.folder}/cert.pem",
                "/etc/ssl/manako/privkey.pem": f"{self.folder}/key.pem",
                "/var/log/nginx/manako.log": str(self.log)}.items():
            assert old in text, old
            text = text.replace(old, new)
        return text

    def check(self):
        return subprocess.run([NGINX, "-t", "-e", self.folder / "error.log", "-c", self.config],
                              capture_output=True, text=True, check=False)

    def start(self):
        self.process = subprocess.Popen([NGINX, "-e", self.folder / "error.log", "-c", self.config],
                                        stderr=subprocess.DEVNULL)
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.tls)):
                return
            time.sleep(0.02)
        raise AssertionError((self.folder / "error.log").read_text())

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def context(self):
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        context.check_hostname = False
        return context

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=TIMEOUT,
                                           context=self.context())

    def ask(self, method, path, body=None, headers=None):
        """Status, headers, body."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, {"Host": "manako.example", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def ask_raw(self, data):
        """What comes back for these bytes, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.tls), timeout=TIMEOUT) as plain:
            with self.context().wrap_socket(plain, server_hostname="manako.example") as secure:
                secure.sendall(data)
                answer = b""
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    while piece := secure.recv(65536):
                        answer += piece
                return answer


class Site(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lacking = "nginx" if NGINX is None else "openssl" if OPENSSL is None else None

    def setUp(self):
        if self.lacking:
            self.skipTest(f"{self.lacking} is not installed")
        folder = tempfile.TemporaryDirectory(prefix="manako-nginx-")
        self.addCleanup(folder.cleanup)
        self.upstream = Upstream()
        self.addCleanup(self.upstream.close)
        self.proxy = Proxy(folder.name, self.upstream.port)
        self.addCleanup(self.proxy.stop)

    def start(self):
        self.proxy.start()
        return self.proxy

    def test_is_read(self):
        run = self.proxy.check()
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("[warn]", run.stderr)

    # ---- Requests ----

    def test_plain_is_sent_to_tls(self):
        self.start()
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.plain, timeout=TIMEOUT)
        connection.request("GET", "/v1/streams?a=b", headers={"Host": "manako.example"})
        answer = connection.getresponse()
        self.assertEqual((answer.status, answer.headers["Location"]),
                         (301, "https://manako.example/v1/streams?a=b"))
        connection.close()
        self.assertEqual(self.upstream.requests, [])

    def test_request_is_passed_on(self):
        status, headers, body = self.start().ask(
            "GET", "/v1/search?q=%22red%20car%22&x=%2e%2e", headers={
                "Authorization": "Bearer k", "X-Forwarded-For": "8.8.8.8", "Forwarded": "for=8.8.8.8",
                "Connection": "keep-alive, X-API-Key", "X-API-Key": "key", "Upgrade": "h2c"})
        self.assertEqual(status, 200)
        self.assertEqual(headers["Strict-Transport-Security"], "max-age=31536000")
        seen = json.loads(body)
        self.assertEqual(seen["target"], "/v1/search?q=%22red%20car%22&x=%2e%2e")
        passed = {}
        for name, value in seen["headers"]:
            self.assertNotIn(name, passed, "twice")
            passed[name] = value
        self.assertEqual(passed["Host"], "manako.example")
        self.assertEqual(passed["Authorization"], "Bearer k")
        self.assertEqual(passed["X-API-Key"], "key")
        self.assertEqual(passed["X-Forwarded-For"], "127.0.0.1")
        self.assertEqual(passed["X-Forwarded-Proto"], "https")
        for name in ("Connection", "Upgrade", "Forwarded"):
            self.assertNotIn(name, passed)

    def test_body_is_limited(self):
        proxy = self.start()
        status, _, body = proxy.ask("POST", "/v1/streams", b"x" * (1 << 20))
        self.assertEqual((status, json.loads(body)["length"]), (200, 1 << 20))
        self.assertEqual(proxy.ask("POST", "/v1/streams", b"x" * ((1 << 20) + 1))[0], 413)

    def test_upload_is_streamed(self):
        """The server behind reads the beginning before the end is sent."""
        proxy = self.start()
        for framing in ("length", "chunks"):
            self.upstream.uploading.clear()

            def body():
                yield b"a" * 65536
                self.assertTrue(self.upstream.uploading.wait(TIMEOUT), "the upload is kept back")
                yield b"b" * (3 << 20)

            size = 65536 + (3 << 20)
            headers = {"Content-Length": str(size)} if framing == "length" else {}
            status, _, answer = proxy.ask("POST", "/v1/uploads", body(), headers)
            self.assertEqual((status, json.loads(answer)["length"]), (200, size))

    def test_events_are_not_kept_back(self):
        proxy = self.start()
        with contextlib.closing(proxy.connect()) as connection:
            connection.request("GET", "/v1/streams/s/events", headers={"Host": "manako.example"})
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.read(len(b"id: 1\ndata: first\n\n")), b"id: 1\ndata: first\n\n")
            self.assertEqual(proxy.ask("GET", "/released")[0], 200)
            self.assertEqual(answer.read(), b"id: 2\ndata: second\n\n")

    def test_websocket(self):
        python = python_with_websockets()
        if python is None:
            self.skipTest("Python's websockets is not installed")
        proxy = self.start()
        run = subprocess.run([python, "-c", WEBSOCKET_CLIENT, str(proxy.tls),
                              str(proxy.folder / "cert.pem")],
                             capture_output=True, text=True, timeout=TIMEOUT, check=False)
        self.assertEqual((run.stdout, run.returncode), ("echoed\n", 0), run.stderr)
        method, target, headers = self.upstream.requests[0]
        passed = {name.lower(): value for name, value in headers}
        self.assertEqual((method, target), ("GET", "/ws/stream?token=secret"))
        self.assertEqual((passed["upgrade"], passed["connection"]), ("websocket", "upgrade"))
        self.assertEqual(passed["host"], f"127.0.0.1:{proxy.tls}")
        self.assertEqual(passed["x-forwarded-for"], "127.0.0.1")

    def test_other_protocols_are_not(self):
        """Neither another protocol nor another place begins a tunnel."""
        proxy = self.start()
        for path, upgrade in (("/ws/stream", "h2c"), ("/v1/streams", "websocket")):
            status, _, body = proxy.ask("GET", path, headers={
                "Connection": "Upgrade", "Upgrade": upgrade, "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(b"k" * 16).decode()})
            self.assertEqual(status, 200)
            passed = [name for name, _ in json.loads(body)["headers"]]
            self.assertNotIn("Upgrade", passed)

    # ---- What is refused ----

    def test_smuggling(self):
        """Whatever nginx makes of such heads, the server behind never sees a hidden request."""
        proxy = self.start()
        hidden = b"GET /hidden HTTP/1.1\r\nHost: manako.example\r\n\r\n"
        heads = {
            "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(hidden),
            "length and chunks": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                                 % (len(hidden) + 5),
            "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"
                            b"0\r\n\r\n",
            "other chunks": b"Transfer-Encoding: xchunked\r\n\r\n",
            "chunks by tab": b"Transfer-Encoding:\x0bchunked\r\n\r\n",
            "space before colon": b"Content-Length : %d\r\n\r\n" % len(hidden),
            "folded": b"X: a\r\n Content-Length: %d\r\n\r\n" % len(hidden),
            "plus in length": b"Content-Length: +%d\r\n\r\n" % len(hidden),
            "bad chunk": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "huge chunk": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        }
        for name, head in heads.items():
            before = len(self.upstream.requests)
            proxy.ask_raw(b"POST /v1/streams HTTP/1.1\r\nHost: manako.example\r\n"
                          b"Connection: close\r\n" + head + hidden)
            self.assertNotIn("/hidden", [target for _, target, _ in self.upstream.requests[before:]],
                             name)

    def test_large_heads(self):
        proxy = self.start()
        self.assertEqual(proxy.ask("GET", "/" + "a" * 7000)[0], 200)
        self.assertEqual(proxy.ask("GET", "/" + "a" * 9000)[0], 414)
        self.assertEqual(proxy.ask("GET", "/", headers={"X": "a" * 9000})[0], 400)

    def test_old_tls(self):
        proxy = self.start()
        context = proxy.context()
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", proxy.tls), timeout=TIMEOUT) as plain:
            with self.assertRaises(ssl.SSLError):
                context.wrap_socket(plain)

    def test_too_many_requests(self):
        proxy = self.start()
        with contextlib.closing(proxy.connect()) as connection:
            statuses = set()
            for _ in range(3000):
                connection.request("GET", "/healthz", headers={"Host": "manako.example"})
                answer = connection.getresponse()
                answer.read()
                statuses.add(answer.status)
                if answer.status != 200:
                    break
            self.assertEqual(statuses, {200, 429})

    # ---- What is told ----

    def test_nobody_behind(self):
        proxy = self.start()
        self.upstream.close()
        status, headers, body = proxy.ask("GET", "/v1/streams")
        self.assertEqual((status, headers["Content-Type"]), (503, "application/json"))
        self.assertEqual(headers["Retry-After"], "2")
        self.assertEqual(json.loads(body)["error"]["code"], "unavailable")

    def test_tokens_are_not_logged(self):
        proxy = self.start()
        self.assertEqual(proxy.ask("GET", "/v1/streams/s/captions?token=secret",
                                   headers={"Referer": "https://a/?token=secret"})[0], 200)
        proxy.stop()
        text = proxy.log.read_text()
        self.assertIn('"GET /v1/streams/s/captions" 200', text)
        self.assertNotIn("secret", text)


# ---- A client of real life ----

WEBSOCKET_CLIENT = """
import asyncio, ssl, sys, websockets

async def main(port, certificate):
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    url = f"wss://127.0.0.1:{port}/ws/stream?token=secret"
    async with websockets.connect(url, ssl=context, max_size=None) as socket:
        for message in ("text", "\\u732b" * 1000, b"", b"x" * (1 << 20)):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.close(4001, "over")
    assert (socket.close_code, socket.close_reason) == (4001, "over")
    print("echoed")

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


def python_with_websockets():
    for python in (sys.executable, "/usr/bin/python3"):
        if os.access(python, os.X_OK) and subprocess.run(
                [python, "-c", "import websockets"], capture_output=True, check=False).returncode == 0:
            return python
    return None


if __name__ == "__main__":
    tap.main()
