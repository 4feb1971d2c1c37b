#!/usr/bin/env python3
"""The peer of bench/server.py: /ws/stream as a Python server does it, with FastAPI, uvicorn on
uvloop, websockets and OpenCV. Each frame's JSON is parsed, its base64 undone, its JPEG decoded and
kept until the batch is full, and acknowledged. No gate, no worker, no captions.

    server_peer.py PORT     on loopback; PYTHONPATH must have the packages
"""
import base64
import json
import sys

import cv2
import fastapi
import numpy
import uvicorn

BATCH = 48
app = fastapi.FastAPI()


@app.get("/healthz")
def healthz():
    return {"status": "ok"}


@app.websocket("/ws/stream")
async def stream(socket: fastapi.WebSocket):
    await socket.accept()
    frames = []
    try:
        while True:
            message = json.loads(await socket.receive_text())
            if message.get("type") != "frame":
                continue
            packed = numpy.frombuffer(base64.b64decode(message["image_base64"]), dtype=numpy.uint8)
            picture = cv2.imdecode(packed, cv2.IMREAD_COLOR)
            if picture is None:
                await socket.send_text(json.dumps({"type": "error", "detail": "not a JPEG"}))
                continue
            frames.append((message["frame_index"], message["timestamp"], picture))
            await socket.send_text(json.dumps({"type": "ack", "frame_count": len(frames)}))
            if len(frames) >= BATCH:
                frames.clear()
    except fastapi.WebSocketDisconnect:
        pass


if __name__ == "__main__":
    cv2.setNumThreads(1)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
