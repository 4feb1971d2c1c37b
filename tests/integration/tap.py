"""A test program for the built manako: cases are functions, results are TAP lines."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = os.environ["MANAKO"]
LONG = bool(os.environ.get("MANAKO_TEST_LONG"))
FFMPEG = shutil.which("ffmpeg")
# Long enough for a sanitized program on a loaded machine; a hang is still found.
TIMEOUT = 120
PATIENCE = 90


class Skip(Exception):
    pass


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def captions(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Case:
    """One test's own folder and environment: nothing of the machine's user is read or written."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("MANAKO_", "STREAMING_DVC"))}
        self.env.update(
            XDG_DATA_HOME=str(self.folder / "data"), XDG_CACHE_HOME=str(self.folder / "cache"),
            HOME=str(self.folder), MANAKO_STUB_MODEL="true", NO_COLOR="1")
        self.env.pop("MANAKO_CACHE", None)

    def path(self, name):
        return str(self.folder / name)

    def start(self, *arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=self.env, cwd=self.folder, text=True, **options)

    def run(self, *arguments, timeout=TIMEOUT, **options):
        process = self.start(*arguments, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            out, err = process.communicate()
            raise AssertionError(f"{' '.join(map(str, arguments))} hangs; it wrote:\n{out}\n{err}") from None
        check_sanitizers(err)
        return Result(process.returncode, out, err)

    def caption(self, *arguments, **options):
        return self.run("caption", *arguments, **options)

    def clip(self, name, colours=("red", "green", "blue"), seconds=4, rate=25, size="320x240", codec=("libx264",)):
        """Plain colours one after the other, hard cuts between. Returns the path."""
        if FFMPEG is None:
            raise Skip("the ffmpeg program is not installed")
        path = self.path(name)
        inputs, labels = [], ""
        for i, colour in enumerate(colours):
            inputs += ["-f", "lavfi", "-i", f"color=c={colour}:s={size}:r={rate}:d={seconds}"]
            labels += f"[{i}:v]"
        ffmpeg(*inputs, "-filter_complex", f"{labels}concat=n={len(colours)}:v=1:a=0[v]", "-map", "[v]",
               "-c:v", *codec, "-g", str(rate), "-pix_fmt", "yuv420p", path)
        return path


def check_sanitizers(text):
    for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer"):
        assert mark not in text, text


def ffmpeg(*arguments):
    if FFMPEG is None:
        raise Skip("the ffmpeg program is not installed")
    run = subprocess.run([FFMPEG, "-nostdin", "-v", "error", "-y", *map(str, arguments)], capture_output=True, text=True)
    if run.returncode:
        raise Skip(f"ffmpeg could not make the input: {run.stderr.strip()[-200:]}")


def wait_until(what, probe):
    """The probe's first true answer."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := probe():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} does not come")


def equal(actual, expected, what="value"):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"


def contains(text, *parts):
    for part in parts:
        assert part in text, f"{part!r} is not in {text!r}"


def main(cases):
    chosen = [c for c in cases if len(sys.argv) < 2 or sys.argv[1] in c.__name__]
    print(f"1..{len(chosen)}")
    failed = False
    for number, case in enumerate(chosen, 1):
        name = case.__name__.removeprefix("test_").replace("_", " ")
        folder = tempfile.mkdtemp(prefix="manako-test-")
        try:
            case(Case(folder))
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:
            failed = True
            print(f"not ok {number} - {name}", flush=True)
            # standard error: meson shows it beside a failure, and only it
            print(f"{name}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        finally:
            subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(failed)
