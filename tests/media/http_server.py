"""An HTTP server of videos and playlists for tests, on the loopback interface only.

    http_server.py FILE.mp4 TAIL.mp4 FILE.ts [--canary PORT] [--pace S]

TAIL.mp4 has its index at the end. Prints its port; ends with its standard input, or after a minute.

/plain/KIND       KIND is mp4, tail or ts; with Range
/whole/KIND       without Range
/endless.ts       without a length; the first connection breaks off in the middle
/cut/KIND         the first connection breaks off in the middle
/gone/KIND        so do all
/away             302 to the canary; /here: 302 to /plain/mp4
/later/tail       302 to the canary as soon as not the beginning is asked for
/all.m3u8         a finished playlist; /encrypted.m3u8: its segments encrypted
/live.m3u8        one that grows with each request, and is finished at last
/dying.m3u8       one that grows, and is gone
/bad/KIND.m3u8    playlists that lead elsewhere, see BAD
/pictures         multipart/x-mixed-replace of JPEGs, --pace seconds apart
/status/N  /silent  /noise
"""
import argparse
import os
import re
import socket
import subprocess
import sys
import threading
import time

HEAD = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n"
SEGMENT = "#EXTINF:1,\n%s\n"
END = "#EXT-X-ENDLIST\n"
CANARY = "http://127.0.0.1:%(canary)d"
KEY = bytes(range(16))
PIECES = 6

# name: what stands in a playlist in the place of its segments; %(ts)s is a video that would play
BAD = {
    "http": SEGMENT % (CANARY + "/0.ts"),
    "localhost": SEGMENT % "http://localhost:%(canary)d/0.ts",
    "decimal": SEGMENT % "http://2130706433:%(canary)d/0.ts",
    "short": SEGMENT % "http://127.1:%(canary)d/0.ts",
    "mapped": SEGMENT % "http://[::ffff:127.0.0.1]:%(canary)d/0.ts",
    "v6": SEGMENT % "http://[::1]:%(canary)d/0.ts",
    "relative": SEGMENT % "//127.0.0.1:%(canary)d/0.ts",
    "https": SEGMENT % "https://127.0.0.1:%(canary)d/0.ts",
    "redirect": SEGMENT % "/away",
    "key": '#EXT-X-KEY:METHOD=AES-128,URI="' + CANARY + '/key"\n' + SEGMENT % "/segment/0.ts",
    "map": '#EXT-X-MAP:URI="' + CANARY + '/init.mp4"\n' + SEGMENT % "/segment/0.ts",
    "variant": "#EXT-X-STREAM-INF:BANDWIDTH=1000\n" + CANARY + "/v.m3u8\n",
    "media": '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="' + CANARY
             + '/a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1000,AUDIO="a"\n' + CANARY + "/v.m3u8\n",
    "crypto": SEGMENT % ("crypto:" + CANARY + "/0.ts"),
    "crypto-plus": SEGMENT % ("crypto+" + CANARY + "/0.ts"),
    "tcp": SEGMENT % "tcp://127.0.0.1:%(canary)d/0.ts",
    "httpproxy": SEGMENT % "httpproxy://127.0.0.1:%(canary)d/0.ts",
    "hls-plus": SEGMENT % ("hls+" + CANARY + "/v.m3u8"),
    "async": SEGMENT % ("async:" + CANARY + "/0.ts"),
    "cache": SEGMENT % ("cache:" + CANARY + "/0.ts"),
    "ftp": SEGMENT % "ftp://127.0.0.1:%(canary)d/0.ts",
    "gopher": SEGMENT % "gopher://127.0.0.1:%(canary)d/0.ts",
    "rtmp": SEGMENT % "rtmp://127.0.0.1:%(canary)d/0.ts",
    "rtsp": SEGMENT % "rtsp://127.0.0.1:%(canary)d/0.ts",
    "file": SEGMENT % "file://%(ts)s",
    "file-bare": SEGMENT % "file:%(ts)s",
    "crypto-file": SEGMENT % "crypto:file://%(ts)s",
    "concat": SEGMENT % "concat:%(ts)s|%(ts)s",
    "concat-http": SEGMENT % ("concat:" + CANARY + "/0.ts|" + CANARY + "/1.ts"),
    "concatf": SEGMENT % "concatf:%(ts)s",
    "subfile": SEGMENT % "subfile,,start,0,end,0,,:%(ts)s",
    "data": SEGMENT % "data:text/plain;base64,R0FSQkFHRQ==",
    "pipe": SEGMENT % "pipe:0",
    "fd": SEGMENT % "fd:0",
    "unix": SEGMENT % "unix:/tmp/none.sock",
    "map-file": '#EXT-X-MAP:URI="file://%(ts)s"\n' + SEGMENT % "file://%(ts)s",
    "passwd": SEGMENT % "file:///etc/passwd",
}


class Server:
    def __init__(self, options):
        self.options = options
        self.files = {"mp4": open(options.mp4, "rb").read(),
                      "tail": open(options.tail, "rb").read(),
                      "ts": open(options.ts, "rb").read()}
        self.asked = {}
        self.lock = threading.Lock()

    def count(self, path):
        """How often it was asked for before."""
        with self.lock:
            self.asked[path] = self.asked.get(path, 0) + 1
            return self.asked[path] - 1

    def segment(self, number):
        packets = len(self.files["ts"]) // 188
        return self.files["ts"][packets * number // PIECES * 188:packets * (number + 1) // PIECES * 188]

    def playlist(self, path, name):
        if name == "all":
            return HEAD + "".join(SEGMENT % f"/segment/{i}.ts" for i in range(PIECES)) + END
        if name == "encrypted":
            key = '#EXT-X-KEY:METHOD=AES-128,URI="/key",IV=0x' + "0" * 32 + "\n"
            return (HEAD + key
                    + "".join(SEGMENT % f"/encrypted/{i}.ts" for i in range(PIECES)) + END)
        known = min(self.count(path) + 1, PIECES)
        if name == "dying" and known > 3:
            return None
        # 0.3: the player asks for it again so soon
        head = HEAD + "".join(f"#EXTINF:0.3,\n/segment/{i}.ts\n" for i in range(known))
        return head + (END if known == PIECES else "")

    def head(self, peer, status, headers):
        peer.sendall(f"HTTP/1.1 {status}\r\nConnection: close\r\n".encode()
                     + "".join(f"{n}: {v}\r\n" for n, v in headers.items()).encode() + b"\r\n")

    def whole(self, peer, data, kind):
        self.head(peer, "200 OK", {"Content-Type": kind, "Content-Length": len(data)})
        peer.sendall(data)

    def ranged(self, peer, data, kind, start, most):
        headers = {"Content-Type": kind, "Accept-Ranges": "bytes",
                   "Content-Length": len(data) - start}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.head(peer, "206 Partial Content" if start else "200 OK", headers)
        peer.sendall(data[start:start + most])

    def redirect(self, peer, to):
        self.head(peer, "302 Found", {"Location": to, "Content-Length": 0})

    def pictures(self, peer):
        self.head(peer, "200 OK", {"Content-Type": "multipart/x-mixed-replace;boundary=--frame"})
        jpegs = re.findall(rb"\xff\xd8.*?\xff\xd9", subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-i", self.options.mp4, "-frames:v", "40", "-f",
             "image2pipe", "-c:v", "mjpeg", "-"], stdout=subprocess.PIPE, check=True).stdout, re.S)
        for jpeg in jpegs:
            peer.sendall(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                         % len(jpeg) + jpeg + b"\r\n")
            time.sleep(self.options.pace)

    def answer(self, peer, path, start):
        words = path.strip("/").split("/")
        canary = CANARY % {"canary": self.options.canary} + "/x.mp4"
        data = self.files.get(words[-1], b"")
        video = "video/mp2t" if words[-1] == "ts" else "video/mp4"
        if words[0] == "plain":
            self.ranged(peer, data, video, start, len(data))
        elif words[0] == "whole":
            self.whole(peer, data, video)
        elif words[0] == "cut":
            self.ranged(peer, data, video, start, len(data) if self.count(path) else len(data) // 2)
        elif words[0] == "gone":
            self.ranged(peer, data, video, start, 0 if self.count(path) else len(data) // 2)
        elif words[0] == "later" and start:
            self.redirect(peer, canary)
        elif words[0] == "later":
            self.ranged(peer, data, video, start, len(data))
        elif path == "/endless.ts":
            self.head(peer, "200 OK", {"Content-Type": "video/mp2t"})
            data = self.files["ts"]
            peer.sendall(data if self.count(path) else data[:len(data) // 2])
        elif path == "/away":
            self.redirect(peer, canary)
        elif path == "/here":
            self.redirect(peer, "/plain/mp4")
        elif words[0] == "bad":
            body = BAD[words[1][:-5]] % {"canary": self.options.canary, "ts": self.options.ts}
            self.whole(peer, (HEAD + body + END).encode(), "application/vnd.apple.mpegurl")
        elif path.endswith(".m3u8"):
            body = self.playlist(path, words[0][:-5])
            if body is None:
                self.head(peer, "404 Not Found", {"Content-Length": 0})
            else:
                self.whole(peer, body.encode(), "application/vnd.apple.mpegurl")
        elif words[0] == "segment":
            self.whole(peer, self.segment(int(words[1][:-3])), "video/mp2t")
        elif words[0] == "encrypted":
            plain = self.segment(int(words[1][:-3]))
            coded = subprocess.run(["openssl", "aes-128-cbc", "-K", KEY.hex(), "-iv", "0" * 32],
                                   input=plain, stdout=subprocess.PIPE, check=True).stdout
            self.whole(peer, coded, "video/mp2t")
        elif path == "/key":
            self.whole(peer, KEY, "application/octet-stream")
        elif path == "/pictures":
            self.pictures(peer)
        elif words[0] == "status":
            self.head(peer, f"{words[1]} Whatever", {"Content-Length": 0})
        elif path == "/silent":
            time.sleep(60)
        elif path == "/noise":
            self.whole(peer, b"this is no video. " * 1000, "text/plain")

    def serve(self, peer):
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                piece = peer.recv(65536)
                if not piece:
                    return
                data += piece
            text = data.decode("latin-1")
            wanted = re.search(r"^Range: bytes=(\d+)-", text, re.M)
            self.answer(peer, text.split()[1], int(wanted.group(1)) if wanted else 0)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass
        except OSError:
            pass
        finally:
            peer.close()

    def accept(self, listening):
        while True:
            peer, _ = listening.accept()
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mp4")
    parser.add_argument("tail")
    parser.add_argument("ts")
    parser.add_argument("--canary", type=int, default=9)
    parser.add_argument("--pace", type=float, default=0.02)
    server = Server(parser.parse_args())
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(32)
    print(listening.getsockname()[1], flush=True)
    threading.Thread(target=server.accept, args=(listening,), daemon=True).start()
    threading.Timer(60, lambda: os._exit(0)).start()
    sys.stdin.buffer.read()
    os._exit(0)


main()
