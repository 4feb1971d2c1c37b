"""An HTTP server with faults, for tests of the client, on the loopback interface only.

    client_server.py [--tls CERTIFICATE KEY]

Prints its port; ends with its standard input, or after two minutes. The path says what it does.
"""
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

OK = b"HTTP/1.1 200 OK\r\n"


def read_request(peer):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        piece = peer.recv(65536)
        if not piece:
            return None
        body += piece
    method, path, _ = lines[0].split(" ")
    return method, path, headers, body


def trickle(peer, data, pause):
    for i in range(len(data)):
        peer.sendall(data[i:i + 1])
        time.sleep(pause)


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def echo(peer, request):
    method, path, headers, body = request
    answer = json.dumps({"method": method, "path": path, "headers": headers,
                         "body": body.decode("latin-1")}).encode()
    peer.sendall(OK + b"Content-Type: application/json\r\nX-One: first\r\nX-Empty:\r\n"
                 b"Content-Length: %d\r\n\r\n" % len(answer) + answer)
    return True


def answer(peer, request):
    """True: the connection may be used again."""
    path = request[1]
    if path == "/echo":
        return echo(peer, request)
    if path.startswith("/status/"):
        status = int(path.split("/")[2])
        peer.sendall(b"HTTP/1.1 %d Whatever\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbody"
                     % status)
        return True
    if path == "/chunked":
        peer.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n")
        return True
    if path == "/trickled":
        trickle(peer, OK + b"Content-Length: 2\r\n\r\nok", 0.01)
        return True
    if path == "/until-close":
        peer.sendall(OK + b"\r\nto the end")
    elif path == "/continue":
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok")
        return True
    elif path == "/redirect":
        peer.sendall(b"HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n")
        return True
    elif path == "/slow-head":
        trickle(peer, OK[:-2] + b"\r\nX: " + b"y" * 2000, 0.05)
    elif path == "/silent":
        time.sleep(60)
    elif path == "/slow-body":
        peer.sendall(OK + b"Content-Length: 2000\r\n\r\n")
        trickle(peer, b"z" * 2000, 0.05)
    elif path == "/hang":
        peer.sendall(OK + b"Content-Length: 2000\r\n\r\nhalf")
        time.sleep(60)
    elif path == "/reset":
        reset(peer)
    elif path == "/reset-in-body":
        peer.sendall(OK + b"Content-Length: 2000\r\n\r\nhalf")
        time.sleep(0.05)
        reset(peer)
    elif path == "/short":
        peer.sendall(OK + b"Content-Length: 2000\r\n\r\nhalf")
    elif path == "/cut-chunk":
        peer.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
    elif path == "/nothing":
        pass
    elif path == "/large":
        peer.sendall(OK + b"Content-Length: 10485760\r\n\r\n")
        for _ in range(160):
            peer.sendall(b"0" * 65536)
    elif path == "/large-unannounced":
        peer.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(160):
            peer.sendall(b"10000\r\n" + b"0" * 65536 + b"\r\n")
        peer.sendall(b"0\r\n\r\n")
    elif path == "/large-head":
        peer.sendall(OK)
        for i in range(400):
            peer.sendall(b"X-%d: " % i + b"y" * 1000 + b"\r\n")
        peer.sendall(b"Content-Length: 0\r\n\r\n")
    elif path == "/noise":
        peer.sendall(b"220 this is another protocol\r\n")
    elif path == "/old":
        peer.sendall(b"no head at all")
    elif path == "/bad-chunk":
        peer.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n")
        time.sleep(0.2)
    elif path == "/bad-length":
        peer.sendall(OK + b"Content-Length: twelve\r\n\r\n" + b"twelve bytes")
    return False


def serve(peer):
    try:
        while True:
            request = read_request(peer)
            if not request or not answer(peer, request):
                break
    except (OSError, ValueError):
        pass
    try:
        peer.close()
    except OSError:
        pass


def accept(listening, context):
    while True:
        peer, _ = listening.accept()
        if context:
            try:
                peer = context.wrap_socket(peer, server_side=True)
            except OSError:
                continue
        threading.Thread(target=serve, args=(peer,), daemon=True).start()


def main():
    context = None
    if sys.argv[1:2] == ["--tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    print(listening.getsockname()[1], flush=True)
    threading.Thread(target=accept, args=(listening, context), daemon=True).start()
    threading.Timer(120, lambda: os._exit(0)).start()
    sys.stdin.buffer.read()
    os._exit(0)


main()
