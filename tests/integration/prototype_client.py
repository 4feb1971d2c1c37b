"""A client of /ws/stream as the Streaming DVC prototype's is: one text message for each frame at the rate asked for, after
each a look of 10 ms at what has come, at the end `flush` and `end`, and what still comes until the server closes.

    prototype_client.py --server URL --video FOLDER-OF-JPEGS [--fps N] [--frames N] [--loop] [--gemini]

Prints each answer as a line; with --gemini, caption answers only. Knows nothing that the prototype did not know."""
import argparse
import asyncio
import base64
import itertools
import json
import pathlib
import sys
import time

import websockets


def show(text, captions_only):
    """TRUE: it was a caption."""
    message = json.loads(text)
    if message["type"] == "caption":
        print(json.dumps(message["data"], ensure_ascii=False), flush=True)
    elif not captions_only:
        print(text, flush=True)
    return message["type"] == "caption"


async def look(socket, seconds, captions_only):
    try:
        show(await asyncio.wait_for(socket.recv(), seconds), captions_only)
    except asyncio.TimeoutError:
        pass


async def send(arguments):
    pictures = sorted(pathlib.Path(arguments.video).glob("*.jpg"))
    pictures = itertools.cycle(pictures) if arguments.loop else pictures
    async with websockets.connect(arguments.server, max_size=None) as socket:
        for index, path in enumerate(itertools.islice(pictures, arguments.frames)):
            begin = time.time()
            await socket.send(json.dumps({
                "type": "frame", "frame_index": index, "timestamp": begin,
                "image_base64": base64.b64encode(path.read_bytes()).decode("ascii")}))
            await look(socket, 0.01, arguments.gemini)
            await asyncio.sleep(max(0, 1 / arguments.fps - (time.time() - begin)))
        await socket.send(json.dumps({"type": "flush"}))
        await look(socket, 0.01, arguments.gemini)
        await socket.send(json.dumps({"type": "end"}))
        async for text in socket:
            show(text, arguments.gemini)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default="ws://localhost:8000/ws/stream")
    parser.add_argument("--video", required=True)
    parser.add_argument("--fps", type=float, default=5)
    parser.add_argument("--frames", type=int, default=None)
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--gemini", action="store_true")
    asyncio.run(send(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
