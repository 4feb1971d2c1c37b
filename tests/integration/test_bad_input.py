"""Everything that is wrong with what the user gives: one clear sentence, the documented exit status, and
what was captioned before is kept."""
import json
import os
import pathlib
import sqlite3
import subprocess

from tap import TIMEOUT, Case, Skip, contains, equal, ffmpeg, main

INTERNAL, USAGE, CONFIG, NOT_FOUND, BAD_INPUT, UNSUPPORTED, LIMIT, SOURCE, STORE, MODEL, WORKER, OUTPUT = range(1, 13)


def refused(result, status, *parts):
    equal(result.status, status, result.err)
    lines = result.err.strip().splitlines()
    equal(len(lines), 1, f"one sentence, not {result.err!r}")
    assert lines[0].startswith("manako: "), lines[0]
    contains(lines[0], *parts)


# ---- files ----

def test_missing_file(case: Case):
    refused(case.caption("nowhere.mp4"), NOT_FOUND, "nowhere.mp4", "No such file")


def test_folder(case: Case):
    refused(case.caption(case.folder), NOT_FOUND, "is a folder")


def test_empty_file(case: Case):
    pathlib.Path(case.path("empty.mp4")).touch()
    refused(case.caption("empty.mp4"), BAD_INPUT, "empty.mp4 is empty")


def test_no_permission(case: Case):
    if os.geteuid() == 0:
        raise Skip("root may read everything")
    clip = case.clip("three.mp4")
    os.chmod(clip, 0)
    refused(case.caption(clip), NOT_FOUND, "Permission denied")


def test_text_named_mp4(case: Case):
    pathlib.Path(case.path("poem.mp4")).write_text("Shall I compare thee to a summer's day?\n" * 50)
    refused(case.caption("poem.mp4"), BAD_INPUT, "poem.mp4")


def test_random_bytes(case: Case):
    pathlib.Path(case.path("noise.mkv")).write_bytes(os.urandom(100000))
    result = case.caption("noise.mkv")
    assert result.status in (BAD_INPUT, UNSUPPORTED), (result.status, result.err)


def truncated(case, name, *flags):
    clip = case.path(name)
    ffmpeg("-f", "lavfi", "-i", "color=c=red:s=320x240:r=25:d=10", "-c:v", "libx264", "-pix_fmt", "yuv420p", *flags, clip)
    data = pathlib.Path(clip).read_bytes()
    outcomes = []
    for tenth in range(1, 10):
        pathlib.Path(case.path("cut.mp4")).write_bytes(data[: len(data) * tenth // 10])
        result = case.caption("cut.mp4", "--format", "jsonl")
        if result.status:
            refused(result, BAD_INPUT, "cut.mp4")
        outcomes.append(len(result.captions()))
    return outcomes


def test_truncated_with_index_in_front(case: Case):
    outcomes = truncated(case, "front.mp4", "-movflags", "+faststart")
    assert any(outcomes), "frames before the cut are captioned"


def test_truncated_with_index_at_the_end(case: Case):
    truncated(case, "end.mp4")


def test_truncated_transport_stream(case: Case):
    data = pathlib.Path(case.clip("three.ts")).read_bytes()
    pathlib.Path(case.path("cut.ts")).write_bytes(data[: len(data) // 2 + 17])
    result = case.caption("cut.ts", "--format", "jsonl")
    equal(result.status, 0, result.err)
    assert result.captions()


def test_audio_only(case: Case):
    ffmpeg("-f", "lavfi", "-i", "sine=d=3", "-c:a", "mp2", case.path("tone.mp2"))
    refused(case.caption("tone.mp2"), BAD_INPUT, "no video", "mp2")


def test_codec_that_nothing_decodes(case: Case):
    clip = case.path("odd.mkv")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=d=1", "-c:v", "mpeg2video", clip)
    data = pathlib.Path(clip).read_bytes()
    assert b"V_MPEG2" in data, "the codec's name in Matroska"
    pathlib.Path(clip).write_bytes(data.replace(b"V_MPEG2", b"V_MANAK"))
    result = case.caption(clip)
    assert result.status in (UNSUPPORTED, BAD_INPUT), result.err
    refused(result, result.status, "odd.mkv")


def test_playlist_opens_nothing(case: Case):
    secret = case.clip("secret.mp4")
    for name, text in (("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{secret}\n#EXT-X-ENDLIST\n"),
                       ("list.ffconcat", f"ffconcat version 1.0\nfile {secret}\n"),
                       ("session.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n")):
        pathlib.Path(case.path(name)).write_text(text)
        result = case.caption(name)
        assert result.status in (BAD_INPUT, UNSUPPORTED), (name, result.status, result.err)
        equal(result.out, "")


def png(width, height):
    """A PNG's first chunks, claiming a size."""
    import struct
    import zlib
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def test_picture_of_no_size(case: Case):
    pathlib.Path(case.path("none.png")).write_bytes(png(0, 0))
    result = case.caption("none.png")
    assert result.status in (BAD_INPUT, UNSUPPORTED), result.err
    refused(result, result.status, "none.png")


def test_picture_of_a_hundred_megapixels(case: Case):
    pathlib.Path(case.path("huge.png")).write_bytes(png(10000, 10000))
    refused(case.caption("huge.png"), LIMIT, "10000", "36000000")


# ---- live sources ----

def test_camera_that_is_not_there(case: Case):
    if os.path.exists("/dev/video63"):
        raise Skip("there is a camera 63")
    result = case.caption("camera:63")
    assert result.status in (NOT_FOUND, SOURCE), result.err
    refused(result, result.status, "/dev/video63")


def test_camera_of_no_number(case: Case):
    refused(case.caption("camera:one"), USAGE, "camera:one")


def test_rtsp_refused(case: Case):
    result = case.caption("rtsp://127.0.0.1:9/x", "--reconnect-max", "0", "--source-timeout", "3")
    refused(result, SOURCE, "rtsp://127.0.0.1:9/x")


def test_unknown_scheme(case: Case):
    refused(case.caption("gopher://127.0.0.1/x"), USAGE, "gopher://", "rtsp", "https")


# ---- options ----

def test_unknown_option(case: Case):
    refused(case.caption("x.mp4", "--fsp", "2"), USAGE, "--fsp", "--fps")


def test_bad_range(case: Case):
    refused(case.caption("x.mp4", "--fps", "900"), USAGE, "fps", "60")
    refused(case.caption("x.mp4", "--fps", "fast"), USAGE, "fps", "fast")
    refused(case.caption("x.mp4", "--lang", "fr"), USAGE, "lang", "en")


def test_to_before_from(case: Case):
    refused(case.caption(case.clip("three.mp4"), "--from", "9", "--to", "3"), USAGE, "--to", "--from")


def test_no_source(case: Case):
    refused(case.caption(), USAGE, "SOURCE")


def test_unknown_command(case: Case):
    refused(case.run("capton"), USAGE, "capton")


def test_bad_yaml(case: Case):
    config = pathlib.Path(case.path("config.yaml"))
    config.write_text("fps: 2\nlang: [en\n")
    refused(case.caption("x.mp4"), CONFIG, "config.yaml")
    config.write_text("fps: 2\n\nlanguages: en\n")
    refused(case.caption("x.mp4"), CONFIG, "config.yaml:3", "languages")
    config.write_text("fps: 900\n")
    refused(case.caption("x.mp4"), CONFIG, "config.yaml:1", "fps", "60")
    refused(case.caption("x.mp4", "--config", "other.yaml"), NOT_FOUND, "other.yaml")


def test_stream_id_that_is_a_path(case: Case):
    refused(case.caption(case.clip("three.mp4"), "--stream", "../x"), USAGE, "../x")


# ---- the timeline ----

def test_database_is_a_folder(case: Case):
    refused(case.caption(case.clip("three.mp4"), "--db", case.folder), STORE, str(case.folder))


def test_database_is_something_else(case: Case):
    pathlib.Path(case.path("notes.db")).write_text("not a database at all " * 100)
    refused(case.caption(case.clip("three.mp4"), "--db", case.path("notes.db")), STORE, "notes.db")


def test_database_locked(case: Case):
    clip = case.clip("three.mp4")
    equal(case.caption(clip, "--db", case.path("t.db")).status, 0)
    with sqlite3.connect(case.path("t.db"), isolation_level=None) as other:
        other.execute("begin exclusive")
        result = case.caption(clip, "--db", case.path("t.db"), "--format", "jsonl")
        other.execute("rollback")
    assert result.status in (0, STORE), result.status
    contains(result.err, "locked")


def test_database_not_there(case: Case):
    refused(case.run("captions"), NOT_FOUND, "timeline.db")


# ---- the output ----

def test_output_in_no_folder(case: Case):
    refused(case.caption(case.clip("three.mp4"), "--output", "no/such/out.vtt"), OUTPUT, "no/such/out.vtt")


def test_output_on_a_full_disk(case: Case):
    if not os.path.exists("/dev/full"):
        raise Skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        process = subprocess.Popen([os.environ["MANAKO"], "caption", case.clip("three.mp4")], stdout=full,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=case.env, cwd=case.folder, text=True)
        err = process.communicate(timeout=TIMEOUT)[1]
    equal(process.returncode, OUTPUT, err)
    contains(err, "No space left")


def test_a_report_that_does_not_arrive(case: Case):
    commands = (["--help"], ["help", "ask"], ["ask", "--help"], ["--version"], ["models", "list"])
    for command in commands:
        process = subprocess.Popen([os.environ["MANAKO"], *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, env=case.env, cwd=case.folder, text=True)
        process.stdout.close()
        err = process.stderr.read()
        equal(process.wait(timeout=60), OUTPUT, (command, err))
        contains(err, "standard output cannot be written")


# ---- models ----

def test_no_models(case: Case):
    case.env["MANAKO_STUB_MODEL"] = "false"
    case.env["MANAKO_MODELS"] = case.path("models")
    result = case.caption(case.clip("three.mp4"))
    equal(result.status, MODEL, result.err)
    assert "manako models pull" in result.err or "./dev setup" in result.err, result.err


def test_models_list_and_check_tell_what_is_missing(case: Case):
    case.env["MANAKO_MODELS"] = case.path("models")
    listing = case.run("models")
    equal(listing.status, 0)
    contains(listing.out, "missing", "scenes", "objects")
    equal(case.run("models", "check").status, MODEL)
    refused(case.run("models", "check", "scenes"), MODEL, "manako models pull")
    refused(case.run("models", "check", "telepathy"), NOT_FOUND, "telepathy")


def test_damaged_model(case: Case):
    case.env["MANAKO_MODELS"] = case.path("models")
    os.mkdir(case.path("models"))
    pathlib.Path(case.path("models/efficientnet-lite0.onnx")).write_bytes(b"not a model")
    contains(case.run("models").out, "damaged")


def test_doctor_tells_faults(case: Case):
    case.env["MANAKO_MODELS"] = case.path("models")
    result = case.run("doctor")
    equal(result.status, MODEL, result.err)
    contains(result.out, "FAULT", "manako models pull")


main([value for name, value in list(globals().items()) if name.startswith("test_")])
