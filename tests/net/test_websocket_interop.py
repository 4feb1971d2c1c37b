"""WebSocket with a peer of other make: Python's websockets, as client and as server, with and
without TLS."""
import asyncio
import http
import logging
import os
import subprocess
import sys

try:
    import websockets
    from websockets.legacy.client import connect  # the one that old and new versions have
    from websockets.legacy.server import serve
except ImportError:
    # The distribution's own interpreter has its packages.
    if sys.executable != "/usr/bin/python3" and os.access("/usr/bin/python3", os.X_OK):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    websockets = None

import ssl

import tap
from tap import Skip, equal

logging.disable()  # losses are what some cases are about
SIZES = [0, 1, 125, 126, 127, 4096, 65535, 65536, 65537, 1 << 20, 8 << 20]


def asynchronous(case_function):
    def run(case):
        if websockets is None:
            raise Skip("Python's websockets is not installed")
        asyncio.run(asyncio.wait_for(case_function(case), tap.TIMEOUT))
    run.__name__ = case_function.__name__
    return run


class Served:
    """The echo program as the server."""

    def __init__(self, case):
        self.process = case.start("serve", stdin=subprocess.PIPE)

    async def __aenter__(self):
        self.port = int(self.process.stdout.readline())
        return self

    async def __aexit__(self, *_):
        _, err = self.process.communicate()
        tap.check_sanitizers(err)

    def connect(self, **options):
        options.setdefault("max_size", 16 << 20)
        options.setdefault("compression", None)
        return connect(f"ws://127.0.0.1:{self.port}/ws", **options)

    async def closed(self):
        return (await asyncio.to_thread(self.process.stdout.readline)).strip()


# ---- Python is the client ----

@asynchronous
async def test_text_and_binary_of_many_sizes(case):
    async with Served(case) as server, server.connect() as ws:
        for size in SIZES:
            text, data = "x" * size, bytes(i & 255 for i in range(min(size, 256))) * (size // 256 or 1)
            await ws.send(text)
            equal(await ws.recv() == text, True, f"text of {size}")
            await ws.send(data)
            equal(await ws.recv() == data, True, f"{size} bytes")


@asynchronous
async def test_characters(case):
    async with Served(case) as server, server.connect() as ws:
        for text in ("žluťoučký", "日本語の字幕", "\U0001f600" * 1000, "a\0b"):
            await ws.send(text)
            equal(await ws.recv(), text)


@asynchronous
async def test_fragments(case):
    async with Served(case) as server, server.connect() as ws:
        await ws.send(["frag", "", "ments ", "日本", "語"])
        equal(await ws.recv(), "fragments 日本語")
        await ws.send([b"\xff" * 1000] * 100)
        equal(await ws.recv(), b"\xff" * 100000)


@asynchronous
async def test_pings_are_answered(case):
    async with Served(case) as server, server.connect() as ws:
        for payload in (b"", b"x", b"y" * 125):
            await (await ws.ping(payload))
        waits = [await ws.ping(str(i)) for i in range(50)]
        for wait in waits:
            await wait


@asynchronous
async def test_the_client_closes(case):
    async with Served(case) as server:
        for code, reason in ((1000, ""), (1001, "going"), (4321, "日本語")):
            async with server.connect() as ws:
                await ws.send("x")
                equal(await ws.recv(), "x")
                await ws.close(code, reason)
                equal(ws.close_code, code, "what the server answered")
            equal(await server.closed(), f"closed {code} {reason}".strip())


@asynchronous
async def test_the_client_is_lost(case):
    async with Served(case) as server:
        ws = await server.connect()
        ws.transport.abort()
        equal((await server.closed()).startswith("closed 1006 "), True)


@asynchronous
async def test_a_message_too_long(case):
    async with Served(case) as server, server.connect() as ws:
        try:
            await ws.send(b"x" * ((8 << 20) + 1))
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
        equal(ws.close_code, 1009)


@asynchronous
async def test_extensions_are_not_taken(case):
    async with Served(case) as server, server.connect(compression="deflate") as ws:
        equal(ws.extensions, [])
        await ws.send("plain")
        equal(await ws.recv(), "plain")


@asynchronous
async def test_protocols(case):
    async with Served(case) as server:
        async with server.connect(subprotocols=["other", "echo"]) as ws:
            equal(ws.subprotocol, "echo")
        async with server.connect(subprotocols=["other"]) as ws:
            equal(ws.subprotocol, None)


@asynchronous
async def test_many_clients_at_once(case):
    async def one(server, number):
        async with server.connect() as ws:
            for i in range(20):
                await ws.send(f"{number}:{i}")
                equal(await ws.recv(), f"{number}:{i}")
    async with Served(case) as server:
        await asyncio.gather(*(one(server, number) for number in range(50)))


# ---- Python is the server ----

class Program:
    """The echo program as the client; handler talks to it."""

    def __init__(self, case, handler, *authority, scheme="ws", host="127.0.0.1", **options):
        options.setdefault("max_size", 16 << 20)
        options.setdefault("subprotocols", ["echo"])
        self.case, self.handler, self.authority = case, handler, authority
        self.scheme, self.host, self.options = scheme, host, options
        self.error = None

    async def handle(self, ws):
        try:
            self.headers = ws.request_headers
            await self.handler(ws)
        except Exception as error:  # told below, in the test's own task
            self.error = error

    async def run(self):
        async with serve(self.handle, "127.0.0.1", 0, **self.options) as server:
            port = server.sockets[0].getsockname()[1]
            process = self.case.start("connect", f"{self.scheme}://{self.host}:{port}/a/b?c=d", *self.authority)
            out, err = await asyncio.to_thread(process.communicate)
        tap.check_sanitizers(err)
        if self.error:
            raise self.error
        return out.strip()


async def echo_sizes(ws):
    for size in SIZES:
        await ws.send("y" * size)
        equal(await ws.recv() == "y" * size, True, f"text of {size}")
    await ws.send(["frag", "ments"])
    equal(await ws.recv(), "fragments")
    await (await ws.ping(b"p"))


@asynchronous
async def test_as_a_client(case):
    async def handler(ws):
        equal(ws.path, "/a/b?c=d")
        equal(ws.subprotocol, "echo")
        await echo_sizes(ws)
        await ws.close(4000, "done")
    program = Program(case, handler)
    equal(await program.run(), "closed 4000 done")
    equal(program.headers["X-Test"], "yes")


@asynchronous
async def test_a_client_offers_no_extension(case):
    async def handler(ws):
        equal(ws.extensions, [])
    equal(await Program(case, handler, compression="deflate").run(), "closed 1000")


@asynchronous
async def test_a_client_whose_server_is_lost(case):
    async def handler(ws):
        ws.transport.abort()
    equal((await Program(case, handler).run()).startswith("closed 1006 "), True)


@asynchronous
async def test_a_client_refused(case):
    async def refuse(path, headers):
        return http.HTTPStatus.FORBIDDEN, [], b"no\n"
    async def handler(ws):
        pass
    equal(await Program(case, handler, process_request=refuse).run(),
          "refused the server refuses the WebSocket: 403 Forbidden")


@asynchronous
async def test_a_client_of_a_server_that_keeps_pinging(case):
    async def handler(ws):
        for _ in range(5):
            await asyncio.sleep(0.02)
            await ws.send("z")
            equal(await ws.recv(), "z")
    equal(await Program(case, handler, ping_interval=0.01).run(), "closed 1000")


# ---- TLS ----

def make_certificate(case, name):
    # LeakSanitizer itself crashes over the thread-local memory of GIO's TLS module, which comes by dlopen.
    case.env["ASAN_OPTIONS"] = "detect_leaks=0"
    key, certificate = case.path("key.pem"), case.path("certificate.pem")
    try:
        run = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={name}", "-keyout", key, "-out",
             certificate], capture_output=True, text=True)
    except FileNotFoundError:
        raise Skip("the openssl program is not installed") from None
    if run.returncode:
        raise Skip(f"openssl made no certificate: {run.stderr.strip()[-200:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


@asynchronous
async def test_tls(case):
    context, certificate = make_certificate(case, "IP:127.0.0.1,DNS:localhost")
    async def handler(ws):
        await echo_sizes(ws)
        await ws.close(4001, "secure")
    equal(await Program(case, handler, certificate, scheme="wss", ssl=context).run(), "closed 4001 secure")


@asynchronous
async def test_tls_of_a_name(case):
    context, certificate = make_certificate(case, "DNS:localhost")
    async def handler(ws):
        await ws.close(4001, "secure")
    equal(await Program(case, handler, certificate, scheme="wss", host="localhost", ssl=context).run(),
          "closed 4001 secure")


async def refused_certificate(case, name, trust):
    context, certificate = make_certificate(case, name)
    async def handler(ws):
        raise AssertionError("the certificate was accepted")
    out = await Program(case, handler, *([certificate] if trust else []), scheme="wss", ssl=context).run()
    tap.contains(out, "refused 127.0.0.1 port", "certificate")


@asynchronous
async def test_tls_with_an_unknown_certificate(case):
    await refused_certificate(case, "IP:127.0.0.1", False)


@asynchronous
async def test_tls_with_the_certificate_of_another(case):
    await refused_certificate(case, "DNS:other.example", True)


@asynchronous
async def test_tls_to_a_server_without_it(case):
    async def handler(ws):
        raise AssertionError("the handshake came through")
    case.env["ASAN_OPTIONS"] = "detect_leaks=0"
    out = await Program(case, handler, scheme="wss").run()
    tap.contains(out, "refused 127.0.0.1 port")


tap.main([value for name, value in list(globals().items()) if name.startswith("test_")])
