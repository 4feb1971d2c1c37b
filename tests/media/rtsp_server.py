"""A tiny RTSP server for tests, on the loopback interface only.

    rtsp_server.py FILE.h264 [--pace S] [--die-after N] [--down S] [--stall-after N] [--answer KIND]
                   [--redirect URL] [--server-port N]

Serves an H.264 byte stream with access unit delimiters, 25 pictures a second by their time stamps,
one each --pace seconds, over TCP (interleaved) or UDP. Prints its port. Ends with its standard
input, or after a minute.

--die-after N     the first session loses its connection after N pictures; then nobody listens for
                  --down seconds (without --down: never again)
--stall-after N   sends N pictures and falls silent
--answer KIND     401, 403, 404: to DESCRIBE; silent: never; noise: bytes that are not RTSP
--redirect URL    302 to DESCRIBE
--server-port N   names this port as its own for UDP, and sends nothing
"""
import argparse
import base64
import os
import re
import socket
import struct
import sys
import threading
import time

PAYLOAD = 1200


def access_units(path):
    data = open(path, "rb").read()
    units, unit = [], []
    for nal in re.split(b"\x00\x00\x00\x01|\x00\x00\x01", data):
        if not nal:
            continue
        if nal[0] & 31 == 9:
            if unit:
                units.append(unit)
            unit = []
        else:
            unit.append(nal.rstrip(b"\x00") if nal[0] & 31 in (7, 8) else nal)
    units.append(unit)
    return units


def rtp_packets(unit, sequence, stamp):
    """RFC 6184: single packets and FU-A."""
    parts = []
    for nal in unit:
        if len(nal) <= PAYLOAD:
            parts.append(nal)
            continue
        head, body = nal[0], nal[1:]
        pieces = [body[i:i + PAYLOAD] for i in range(0, len(body), PAYLOAD)]
        for i, piece in enumerate(pieces):
            edge = (128 if i == 0 else 0) | (64 if i == len(pieces) - 1 else 0)
            parts.append(bytes([head & 0xE0 | 28, edge | head & 31]) + piece)
    for i, part in enumerate(parts):
        marker = 128 if i == len(parts) - 1 else 0
        yield struct.pack(">BBHII", 128, 96 | marker, (sequence + i) & 0xFFFF, stamp, 0x1234) + part


class Session:
    def __init__(self, server, peer):
        self.server, self.peer = server, peer
        self.udp, self.udp_to = None, None
        self.lock = threading.Lock()
        self.playing = False

    def answer(self, seq, status="200 OK", headers=(), body=""):
        lines = [f"RTSP/1.0 {status}", f"CSeq: {seq}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with self.lock:
            self.peer.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def send(self, packet):
        if self.udp:
            self.udp.sendto(packet, self.udp_to)
            return
        with self.lock:
            self.peer.sendall(struct.pack(">BBH", 36, 0, len(packet)) + packet)

    def setup(self, seq, transport):
        match = re.search(r"client_port=(\d+)", transport)
        if match:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.udp_to = ("127.0.0.1", int(match.group(1)))
            port = self.server.options.server_port or self.udp.getsockname()[1]
            reply = f"RTP/AVP;unicast;client_port={match.group(1)}-{int(match.group(1)) + 1};server_port={port}-{port + 1}"
        else:
            reply = "RTP/AVP/TCP;unicast;interleaved=0-1"
        self.answer(seq, headers=["Session: 1", f"Transport: {reply}"])

    def sdp(self):
        sets = [n for n in self.server.units[0] if n[0] & 31 in (7, 8)]
        sprop = ",".join(base64.b64encode(n).decode() for n in sets)
        return ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=framerate:25\r\n"
                f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\na=control:video\r\n")

    def play(self):
        options, sequence = self.server.options, 0
        limit = options.die_after if self.server.sessions == 1 else None
        try:
            for i, unit in enumerate(self.server.units):
                if limit is not None and i == limit:
                    self.server.go_down()
                    break
                if options.stall_after is not None and i == options.stall_after:
                    time.sleep(60)
                for packet in rtp_packets(unit, sequence, 1000 + 3600 * i):
                    self.send(packet)
                    sequence += 1
                time.sleep(options.pace)
        except OSError:
            pass
        self.close()

    def close(self):
        try:
            self.peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.peer.close()

    def serve(self):
        kind = self.server.options.answer
        pending = b""
        try:
            while True:
                received = self.peer.recv(4096)
                if not received:
                    return
                if kind == "silent":
                    continue
                if kind == "noise":
                    self.peer.sendall(b"220 this is another protocol\r\n\r\n")
                    self.close()
                    return
                pending += received
                while True:
                    if pending[:1] == b"$" and len(pending) >= 4:  # RTCP of the client
                        pending = pending[4 + struct.unpack(">H", pending[2:4])[0]:]
                        continue
                    if b"\r\n\r\n" not in pending:
                        break
                    request, pending = pending.split(b"\r\n\r\n", 1)
                    self.handle(request.decode())
        except OSError:
            pass

    def handle(self, request):
        method = request.split()[0]
        seq = re.search(r"CSeq: *(\d+)", request, re.I).group(1)
        kind = self.server.options.answer
        if method == "OPTIONS":
            self.answer(seq, headers=["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"])
        elif method == "DESCRIBE" and kind in ("401", "403", "404"):
            names = {"401": "Unauthorized", "403": "Forbidden", "404": "Not Found"}
            headers = ['WWW-Authenticate: Basic realm="test"'] if kind == "401" else []
            self.answer(seq, f"{kind} {names[kind]}", headers)
        elif method == "DESCRIBE" and self.server.options.redirect:
            self.answer(seq, "302 Moved", [f"Location: {self.server.options.redirect}"])
        elif method == "DESCRIBE":
            self.answer(seq, headers=["Content-Type: application/sdp"], body=self.sdp())
        elif method == "SETUP":
            self.setup(seq, request)
        elif method == "PLAY" and not self.playing:
            self.playing = True
            self.answer(seq, headers=["Session: 1"])
            if self.server.options.server_port:
                return
            threading.Thread(target=self.play, daemon=True).start()
        else:
            self.answer(seq, headers=["Session: 1"])


class Server:
    def __init__(self, options):
        self.options = options
        self.units = access_units(options.file)
        self.sessions = 0
        self.port = 0
        self.listen()

    def listen(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen(8)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.socket,), daemon=True).start()

    def accept(self, listening):
        while True:
            try:
                peer, _ = listening.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=Session(self, peer).serve, daemon=True).start()

    def go_down(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        if self.options.down is not None:
            threading.Timer(self.options.down, self.listen).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--pace", type=float, default=0.005)
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--down", type=float)
    parser.add_argument("--stall-after", type=int)
    parser.add_argument("--answer", default="")
    parser.add_argument("--redirect")
    parser.add_argument("--server-port", type=int)
    server = Server(parser.parse_args())
    print(server.port, flush=True)
    threading.Timer(60, lambda: os._exit(0)).start()
    sys.stdin.buffer.read()
    os._exit(0)


main()
