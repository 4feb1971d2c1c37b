"""The service's unit, judged by systemd-analyze, and what in it must fit the program."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import tap

FOLDER = pathlib.Path(os.environ["MANAKO_DEPLOY"]) / "systemd"
UNIT = FOLDER / "manako.service"
ANALYZE = shutil.which("systemd-analyze")
# The first that judges files without a running systemd.
LEAST_VERSION = 250


def version():
    if ANALYZE is None:
        return 0
    words = subprocess.run([ANALYZE, "--version"], capture_output=True, text=True, check=True).stdout
    return int(words.split()[1])


def settings(path, section="Service"):
    """Names and values of a section, in order."""
    found, inside = [], False
    for line in path.read_text().splitlines():
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and "=" in line and not line.startswith("#"):
            found.append(tuple(line.split("=", 1)))
    return found


def system_calls(unit):
    """The calls that the unit lets through, by the lists of the installed systemd."""
    groups, name = {}, None
    lists = subprocess.run([ANALYZE, "syscall-filter"], capture_output=True, text=True, check=True)
    for line in lists.stdout.splitlines():
        if line.startswith("@"):
            name = line.strip()
            groups[name] = []
        elif line.strip() and not line.strip().startswith("#"):
            groups[name].append(line.strip())

    def resolve(word):
        if not word.startswith("@"):
            return {word}
        return set().union(*(resolve(member) for member in groups[word]))

    allowed = set()
    for key, value in settings(unit):
        if key == "SystemCallFilter":
            calls = set().union(*(resolve(word) for word in value.lstrip("~").split()))
            allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


class Unit(unittest.TestCase):
    def setUp(self):
        if version() < LEAST_VERSION:
            self.skipTest(f"systemd-analyze {LEAST_VERSION} or later is not installed")

    def test_exposure(self):
        run = subprocess.run(
            [ANALYZE, "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)],
            capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        exposure = re.search(r"exposure level for manako\.service: ([0-9.]+)", run.stdout)
        self.assertLessEqual(float(exposure[1]), 2.0)

    def test_understood(self):
        """systemd says nothing about the unit, whose program is put where it is not installed."""
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "manako.service"
            text = UNIT.read_text()
            self.assertIn("ExecStart=/usr/bin/manako serve\n", text)
            copy.write_text(text.replace("/usr/bin/manako", "/bin/true"))
            run = subprocess.run([ANALYZE, "verify", "--man=no", str(copy)], capture_output=True,
                                 text=True, check=False)
            said = [line for line in run.stderr.splitlines() if "manako" in line]
            self.assertEqual(said, [])

    def test_system_calls(self):
        allowed = system_calls(UNIT)
        needed = {"seccomp", "prctl", "landlock_create_ruleset", "landlock_add_rule",
                  "landlock_restrict_self", "prlimit64", "setrlimit", "sched_setaffinity",
                  "memfd_create", "sendmsg", "recvmsg", "socketpair", "clone3", "execve", "mmap",
                  "mprotect", "fdatasync", "fallocate", "inotify_init1", "epoll_pwait", "futex",
                  "eventfd2", "timerfd_create", "pidfd_open", "ftruncate", "accept4", "sendto",
                  "mbind", "set_mempolicy", "sched_setattr", "mlock", "statfs", "setsid"}
        harmful = {"mount", "ptrace", "bpf", "init_module", "kexec_load", "reboot", "setuid",
                   "chown", "io_uring_setup", "userfaultfd", "process_vm_readv", "unshare",
                   "setns", "pivot_root", "swapon", "perf_event_open"}
        self.assertEqual(needed - allowed, set())
        self.assertEqual(harmful & allowed, set())


class Fit(unittest.TestCase):
    def test_service(self):
        found = dict(settings(UNIT))
        for key, value in {
                "Type": "notify", "WatchdogSec": "15", "DynamicUser": "yes",
                "StateDirectory": "manako", "CacheDirectory": "manako", "ProtectSystem": "strict",
                "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "TimeoutStopSec": "15",
                "EnvironmentFile": "-/etc/manako/env", "ExecReload": "/bin/kill -HUP $MAINPID"}.items():
            self.assertEqual(found.get(key), value, key)
        # The model runtime makes code while it runs.
        self.assertNotIn("MemoryDenyWriteExecute", found)

    def test_drop_ins_do_nothing_as_shipped(self):
        drop_ins = sorted((FOLDER / "manako.service.d").glob("*.conf"))
        self.assertTrue(drop_ins)
        for path in drop_ins:
            self.assertEqual(settings(path), [], path.name)

    def test_drop_ins_are_understood(self):
        if version() < LEAST_VERSION:
            self.skipTest(f"systemd-analyze {LEAST_VERSION} or later is not installed")
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "manako.service"
            text = UNIT.read_text().replace("/usr/bin/manako", "/bin/true")
            for path in (FOLDER / "manako.service.d").glob("*.conf"):
                service = path.read_text().split("[Service]", 1)[1]
                text += "\n[Service]\n" + re.sub(r"^#(?=[A-Z])", "", service, flags=re.MULTILINE)
            copy.write_text(text)
            run = subprocess.run([ANALYZE, "verify", "--man=no", str(copy)], capture_output=True,
                                 text=True, check=False)
            said = [line for line in run.stderr.splitlines() if "manako" in line]
            self.assertEqual(said, [])


if __name__ == "__main__":
    tap.main()
