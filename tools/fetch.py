#!/usr/bin/env python3
"""Gets what Manako runs on: the vision runtime, the library for language models (compiled here, from
its sources), the model files, a sample video.

    fetch.py                 all of that
    fetch.py --first         without the library for language models, which takes minutes to compile
    fetch.py --models        the runtime and the models; every model is read and checked, a damaged
                             one is got again
    fetch.py --tests         also the pictures and clips that tests need
    fetch.py --bench         also those that benchmarks need
    fetch.py --path NAME     prints where something lies: sample, animation, models, runtime, testdata,
                             llama (the compiled library), peer (Python packages for benchmarks, a folder each)

Everything comes from package registries, pinned in lock.json by version and SHA-256 (what comes
from Debian: each file by its SHA-256); models are listed in ../models/manifest.json. It is put into
$MANAKO_CACHE (else $XDG_CACHE_HOME/manako, else ~/.cache/manako), models into $MANAKO_MODELS if that
is set. Each file appears whole or not at all; what an interrupted run has finished is kept. Several
runs at a time wait for each other.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import fnmatch
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import cmake_build
import registry
from registry import Failure

TOOLS = os.path.dirname(os.path.abspath(__file__))
LOCK = os.path.join(TOOLS, "lock.json")
MANIFEST = os.path.join(os.path.dirname(TOOLS), "models", "manifest.json")
FIRST_GROUPS = ("runtime", "models", "samples")
DEFAULT_GROUPS = (*FIRST_GROUPS, "compiled")
DOWNLOADS_AT_ONCE, REPORT_SECONDS = 3, 5


def say(text):
    print(text, file=sys.stderr, flush=True)


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def cache_folder():
    own = os.environ.get("MANAKO_CACHE")
    if own:
        return os.path.abspath(own)
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    base = xdg if os.path.isabs(xdg) else os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "manako")


def read_json(path):
    try:
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
    except (OSError, ValueError) as error:
        raise Failure(f"{path} cannot be read: {error}") from None
    if document.get("format") != 1:
        raise Failure(f"{path} has a format that this tool does not know")
    return document


class File:
    """A file that must lie at path with these bytes. From a package's member, or converted."""

    def __init__(self, path, entry, package, member, group):
        self.path, self.size, self.sha256 = path, entry["size"], entry["sha256"]
        self.package, self.member, self.group = package, member, group
        self.conversion, self.inputs = None, []

    def looks_whole(self):
        try:
            return os.path.isfile(self.path) and os.path.getsize(self.path) == self.size
        except OSError:
            return False

    def is_whole(self):
        return self.looks_whole() and registry.sha256(self.path) == self.sha256

    def place(self, source):
        """Puts a finished file where it belongs, which may be on another file system."""
        if os.path.getsize(source) != self.size or registry.sha256(source) != self.sha256:
            raise Failure(f"{os.path.basename(self.path)} came out different from what is expected: "
                          f"its SHA-256 is not {self.sha256}")
        fresh = self.path + ".new"
        with open(source, "rb") as f:
            registry.write(f, fresh)
        os.replace(fresh, self.path)


class Folder:
    """A part of a package, unpacked with its structure below a name that holds its hash; path is a
    link to it, so that an upgrade appears at once."""

    def __init__(self, cache, entry, archive):
        self.path, self.group = os.path.join(cache, entry["path"]), entry["group"]
        self.entry, self.package = entry, entry["package"]
        self.real = f"{self.path}-{archive['sha256'][:12]}"

    def looks_whole(self):
        return os.path.isdir(self.real) and os.path.realpath(self.path) == os.path.realpath(self.real)

    is_whole = looks_whole

    def unpack(self, archive, scratch):
        fresh = os.path.join(scratch, "folder")
        if not registry.unpack_matching(archive, self.entry["members"], self.entry["without"], fresh):
            raise Failure(f"{os.path.basename(archive)} holds nothing of {self.entry['path']}")
        for link, pattern in self.entry["links"].items():
            at = os.path.join(fresh, link)
            found = fnmatch.filter(sorted(os.listdir(os.path.dirname(at))), pattern)
            if not found:
                raise Failure(f"{os.path.basename(archive)} holds no {pattern}")
            os.symlink(found[0], at)
        os.makedirs(os.path.dirname(self.real), exist_ok=True)
        shutil.rmtree(self.real, ignore_errors=True)
        os.replace(fresh, self.real)
        self.show(scratch)

    def show(self, scratch):
        link = os.path.join(scratch, "link")
        os.symlink(os.path.basename(self.real), link)
        os.replace(link, self.path)
        self.remove_older()

    def remove_older(self):
        parent, name = os.path.split(self.path)
        for other in os.listdir(parent):
            is_ours = re.fullmatch(re.escape(name) + "-[0-9a-f]{12}", other)
            if is_ours and other != os.path.basename(self.real):
                shutil.rmtree(os.path.join(parent, other), ignore_errors=True)


class Build(Folder):
    """A library compiled from a package's sources, in the same kind of folder; its name also holds
    how it was compiled."""

    def __init__(self, cache, entry, archive):
        super().__init__(cache, entry, archive)
        self.options = cmake_build.options_for(entry, platform.machine())
        how = json.dumps([archive["sha256"], self.options], sort_keys=True)
        self.real = f"{self.path}-{hashlib.sha256(how.encode()).hexdigest()[:12]}"
        self.log = os.path.join(cache, f"{os.path.basename(self.path)}.log")
        self.source = None

    def unpack(self, archive, scratch):
        """Beside the download's own folder, which does not outlive the download."""
        top = os.path.join(os.path.dirname(scratch), "compile-" + os.path.basename(self.path))
        unpacked = os.path.join(top, "package")
        if not registry.unpack_matching(archive, self.entry["members"], self.entry["without"], unpacked):
            raise Failure(f"{os.path.basename(archive)} holds nothing of {self.entry['path']}")
        self.source = os.path.join(top, "source")
        os.replace(os.path.join(unpacked, self.entry["source"]), self.source)

    def compile(self, scratch):
        if len(self.options) > len(self.entry["options"]):
            say(f"  this processor lacks some of {', '.join(self.entry['cpu'])}: compiled without them")
        cmake_build.compile_tree(self.package, self.source, self.options, self.real, self.log, say)
        self.show(scratch)


class Plan:
    """What lock.json and the manifest ask for on this machine."""

    def __init__(self, cache, models_folder):
        self.cache, self.models_folder = cache, models_folder
        lock, manifest = read_json(LOCK), read_json(MANIFEST)
        self.packages, self.names = lock["packages"], {}
        self.targets = [Folder(cache, f, self.archive(f["package"])) for f in lock["folders"]]
        self.targets += [Build(cache, b, self.archive(b["package"])) for b in lock.get("builds", [])]
        for entry in lock["files"]:
            path = os.path.join(cache, entry["path"])
            self.targets.append(File(path, entry, entry["package"], entry["member"], entry["group"]))
            if "name" in entry:
                self.names[entry["name"]] = path
        self.targets += [self.model(entry) for entry in manifest["models"]]
        self.names.update(models=models_folder, runtime=os.path.join(cache, "runtime"),
                          testdata=os.path.join(cache, "testdata"), peer=os.path.join(cache, "peer"))
        self.names.update((os.path.basename(t.path), t.real) for t in self.targets
                          if isinstance(t, Build))

    def archive(self, package):
        machine = platform.machine()
        for archive in self.packages[package]["archives"]:
            if archive.get("machine", machine) == machine:
                return archive
        raise Failure(f"there is no {package} for this machine ({machine}) in {LOCK}")

    def model(self, entry):
        source = next((s for s in entry["sources"] if s["package"] in self.packages), None)
        if source is None or source["version"] != self.packages[source["package"]]["version"]:
            raise Failure(f"model {entry['name']}: no source of it is in {LOCK}")
        package, members = source["package"], source["members"]
        path = os.path.join(self.models_folder, entry["file"])
        if "conversion" not in entry:
            return File(path, entry, package, members[0]["path"], "models")
        model = File(path, entry, None, None, "models")
        model.conversion = entry["conversion"]["tool"]
        for member in members:
            name = f"{member['sha256'][:12]}-{os.path.basename(member['path'])}"
            at = os.path.join(self.cache, "sources", name)
            model.inputs.append(File(at, member, package, member["path"], "models"))
        return model

    def key(self):
        """Changes with anything that could change what lies in the cache."""
        digest = hashlib.sha256(f"{platform.machine()}\0{self.models_folder}".encode())
        for path in (LOCK, MANIFEST, os.path.abspath(__file__), registry.__file__, cmake_build.__file__):
            with open(path, "rb") as f:
                digest.update(b"\0" + f.read())
        return digest.hexdigest()


class Stamp:
    """Says that all of some groups were whole, for one state of the lock and the tools."""

    def __init__(self, cache, key):
        self.path, self.key, self.groups = os.path.join(cache, "stamp"), key, []
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with open(self.path, encoding="utf-8") as f:
                written = json.load(f)
            if written["key"] == key:
                self.groups = list(written["groups"])

    def add(self, groups):
        if set(groups) <= set(self.groups):
            return
        self.groups = sorted(set(self.groups) | set(groups))
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            json.dump({"key": self.key, "groups": self.groups}, f)
        os.replace(self.path + ".new", self.path)


class Download:
    """One package on its way: what it is needed for, and the folder in which that happens."""

    def __init__(self, plan, name, targets, scratch):
        self.name, self.package, self.archive = name, plan.packages[name], plan.archive(name)
        self.targets, self.size = targets, self.archive["size"]
        self.folder = tempfile.mkdtemp(dir=scratch)

    def run(self):
        start = time.monotonic()
        path = registry.download(self.name, self.package, self.archive, self.folder)
        members = {t.member for t in self.targets if isinstance(t, File)}
        if members:
            registry.unpack_some(path, members, os.path.join(self.folder, "files"))
        for target in self.targets:
            if isinstance(target, Folder):
                target.unpack(path, self.folder)
            else:
                target.place(os.path.join(self.folder, "files", target.member))
        shutil.rmtree(self.folder)
        return time.monotonic() - start

    def bytes_so_far(self):
        """The clients keep unfinished files in the folder too. Never more than the archive."""
        count = 0
        for at, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(OSError):
                    count += os.path.getsize(os.path.join(at, name))
        return min(count, self.size)


def download_all(downloads):
    total, done = sum(d.size for d in downloads), 0
    with concurrent.futures.ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        pending = {pool.submit(d.run): d for d in downloads}
        try:
            while pending:
                finished, _ = concurrent.futures.wait(
                    pending, REPORT_SECONDS, concurrent.futures.FIRST_COMPLETED)
                for job in finished:
                    download = pending.pop(job)
                    seconds, done = job.result(), done + download.size
                    say(f"  {download.name} {download.package['version']} from "
                        f"{download.package['registry']}, {megabytes(download.size)}, {seconds:.1f} s")
                if not finished:
                    now = done + sum(d.bytes_so_far() for d in pending.values())
                    say(f"  {megabytes(now)} of {megabytes(total)}")
        except BaseException:
            for job in pending:
                job.cancel()
            raise


def convert(model, scratch):
    name = os.path.basename(model.path)
    start = time.monotonic()
    result = os.path.join(scratch, name)
    done = subprocess.run([sys.executable, os.path.join(TOOLS, model.conversion),
                           *(i.path for i in model.inputs), result],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Failure(f"{model.conversion} failed: {last[0]}")
    model.place(result)
    say(f"  {name} by {model.conversion}, {megabytes(model.size)}, {time.monotonic() - start:.1f} s")


def bring(plan, due, scratch):
    """Makes every due target whole: packages first, several at a time, then the conversions."""
    by_package = {}
    conversions = [t for t in due if isinstance(t, File) and t.conversion]
    inputs = [i for model in conversions for i in model.inputs if not i.is_whole()]
    for target in [t for t in due if t not in conversions] + inputs:
        by_package.setdefault(target.package, []).append(target)
    downloads = [Download(plan, name, targets, scratch) for name, targets in by_package.items()]
    downloads.sort(key=lambda d: -d.size)
    if downloads:
        size = megabytes(sum(d.size for d in downloads))
        count = f"{len(downloads)} packages" if len(downloads) > 1 else downloads[0].name
        say(f"getting {count}, {size}; what is used of it is kept in {plan.cache}")
        download_all(downloads)
    for model in conversions:
        convert(model, scratch)
    for target in due:
        if isinstance(target, Build):
            target.compile(scratch)


@contextlib.contextmanager
def alone(cache):
    """Holds the cache's lock, and a scratch folder on its file system."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="utf-8") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up that is at work in this cache")
            fcntl.flock(f, fcntl.LOCK_EX)
        scratch = os.path.join(cache, "scratch")
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        os.makedirs(scratch)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def fetch(plan, groups, deep):
    """Returns how many targets were made."""
    targets = [t for t in plan.targets if t.group in groups]
    key = plan.key()
    stamped = set(groups) <= set(Stamp(plan.cache, key).groups)
    if stamped and not deep and all(t.looks_whole() for t in targets):
        return 0
    with alone(plan.cache) as scratch:
        due = [t for t in targets if not t.is_whole()]
        bring(plan, due, scratch)
        if not deep:
            Stamp(plan.cache, key).add(groups)
    return len(due)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--models", action="store_true",
                      help="the runtime and the models, each read and checked")
    what.add_argument("--first", action="store_true",
                      help="without the libraries that are compiled, which takes minutes")
    what.add_argument("--tests", action="store_true", help="also what tests need")
    what.add_argument("--bench", action="store_true", help="also what benchmarks need")
    what.add_argument("--path", metavar="NAME", help="print where something lies")
    parser.add_argument("--models-dir", metavar="DIR", help="instead of $MANAKO_MODELS")
    options = parser.parse_args()
    cache = cache_folder()
    models = options.models_dir or os.environ.get("MANAKO_MODELS") or os.path.join(cache, "models")
    plan = Plan(cache, os.path.abspath(models))
    if options.path:
        path = plan.names.get(options.path)
        if path is None:
            known = ", ".join(sorted(plan.names))
            raise Failure(f"there is nothing called {options.path}; there are: {known}")
        if not os.path.exists(path):
            raise Failure(f"{path} is not there; {os.path.basename(__file__)} gets it")
        print(path)
        return
    groups = DEFAULT_GROUPS
    if options.models:
        groups = ("runtime", "models")
    elif options.first:
        groups = FIRST_GROUPS
    elif options.tests:
        groups += ("tests",)
    elif options.bench:
        groups += ("tests", "bench")
    made = fetch(plan, groups, deep=options.models)
    if options.models:
        count = sum(1 for t in plan.targets if isinstance(t, File) and t.group == "models")
        say(f"All {count} model files are whole, in {plan.models_folder}.")
    elif made:
        say(f"{made} {'part was' if made == 1 else 'parts were'} put into {plan.cache}.")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"fetch.py: {failure}")
    except OSError as failure:
        sys.exit(f"fetch.py: {failure.filename or ''}: {failure.strerror}")
    except KeyboardInterrupt:
        sys.exit("fetch.py: stopped; the next run goes on from here")
