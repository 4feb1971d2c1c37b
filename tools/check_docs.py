#!/usr/bin/env python3
"""Compares the documents with the program: generated ones with its tables (--write brings them up to
date), docs/api.md with its routes, docs/metrics.md with what a server tells, and the options,
variables, metrics and codes of errors that any of them names with those that there are. Also fails on
a relative link that leads nowhere."""
import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
GENERATED = {"configuration": "docs/configuration.md", "exit-codes": "docs/exit-codes.md"}
LINK = re.compile(r"\]\(([^)#\s]+)")
START_S = 60
# Options of ./dev and of other programs that the documents show.
FOREIGN_OPTIONS = {"--quick", "--long", "--recurse-submodules"}


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def ask(program, topic):
    return subprocess.run([program, "docs", topic], check=True, capture_output=True, text=True).stdout


def sources():
    return "\n".join(p.read_text() for p in sorted((ROOT / "src").rglob("*")) if p.suffix in (".c", ".h", ".def"))


def generated_faults(program, write):
    for topic, name in GENERATED.items():
        text = ask(program, topic)
        path = ROOT / name
        if write:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            yield f"{name} differs from the program's tables: run ./dev docs"


def link_faults():
    for path in documents():
        for target in LINK.findall(path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                yield f"{path.relative_to(ROOT)}: the link to {target} leads nowhere"


# ---- routes ----

def table_rows(text, heading):
    """Cells of the first table below a heading, without its first two lines."""
    lines = f"\n{text}".split(f"\n{heading}\n", 1)[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def documented_routes(text):
    """(method, path, names of the query, scope) of each `METHOD /path?query` in the table of routes."""
    for cells in table_rows(text, "## Routes"):
        base = ""
        for method, address in re.findall(r"`(?:([A-Z]+) )?(/[^`]*|…[^`]*)`", cells[0]):
            path, _, query = address.partition("?")
            path = path.replace("…", base)
            base, verb = path.rsplit("/", 2)[0] if path.count("/") > 2 else base, method or "GET"
            names = {word.partition("=")[0] for word in query.split("&") if word}
            yield ("GET" if verb == "WS" else verb), path, names, cells[1]


def routes_of(program):
    for path, methods in json.loads(ask(program, "openapi"))["paths"].items():
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "$")
        for method, operation in methods.items():
            names = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "query"}
            scope = re.search(r"\(scope (\w+)\)$", operation.get("summary", ""))
            token = any("token" in way for way in operation.get("security", []))
            yield method.upper(), path, pattern, names | ({"token"} if token else set()), scope.group(1) if scope else ""


def route_faults(program):
    text = (ROOT / "docs/api.md").read_text()
    documented, routes = list(documented_routes(text)), list(routes_of(program))
    for method, path, names, scope in documented:
        fits = [r for r in routes if r[0] == method and r[2].match(path)]
        fits = [r for r in fits if r[1] == path] or fits
        if not fits:
            yield f"docs/api.md: there is no route {method} {path}"
            continue
        for name in sorted(names - fits[0][3]):
            yield f"docs/api.md: {method} {path} has no parameter {name}"
        if scope != fits[0][4] and " " not in scope:
            yield f"docs/api.md: {method} {path} asks for the scope {fits[0][4] or 'none'}, not {scope or 'none'}"
    for method, path, pattern, names, _ in routes:
        if not any(method == d[0] and pattern.match(d[1]) for d in documented):
            yield f"docs/api.md lacks {method} {path}"
        for name in sorted(names):
            if not re.search(rf"[`?&]{name}\b", text):
                yield f"docs/api.md: {method} {path} has a parameter {name} that is not told"


# ---- metrics ----

def told_by_server(program):
    """The metrics of a server that has just started: name to type and names of labels."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MANAKO_", "STREAMING_DVC"))}
        server = subprocess.Popen(
            [program, "serve", "--port", "0", "--log-level", "warning", "--stub-model"], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0,
            env={**kept, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CACHE_HOME": folder})
        try:
            said, end = "", time.monotonic() + START_S
            while not (address := re.search(r"http://[^ /]*:\d+/", said)):
                if not select.select([server.stderr], [], [], end - time.monotonic())[0]:
                    raise SystemExit(f"the server does not start: {said}")
                more = os.read(server.stderr.fileno(), 4096)
                if not more:
                    raise SystemExit(f"the server ends at once: {said}")
                said += more.decode()
            with urllib.request.urlopen(address.group(0) + "metrics", timeout=START_S) as answer:
                lines = answer.read().decode().splitlines()
        finally:
            server.terminate()
            server.communicate()
    kinds = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE"))
    labels = {name: set() for name in kinds}
    for line in lines:
        if match := re.match(r"(\w+)\{(.*)\}", line):
            name = re.sub(r"_(bucket|sum|count)$", "", match.group(1))
            labels[name if name in kinds else match.group(1)].update(re.findall(r"(\w+)=", match.group(2)))
    return {name: (kind, labels[name] - {"le"}) for name, kind in kinds.items()}


def metric_faults(program, code):
    rows = {row[0].strip("`"): row for row in table_rows((ROOT / "docs/metrics.md").read_text(), "# Metrics")}
    for name, (kind, labels) in sorted(told_by_server(program).items()):
        if name not in rows:
            yield f"docs/metrics.md lacks {name}"
        elif rows[name][1] != kind or set(re.findall(r"`(\w+)`", rows[name][2])) != labels:
            yield f"docs/metrics.md: {name} is a {kind} with {', '.join(sorted(labels)) or 'no label'}"
    made = set(re.findall(r'mnk_(?:counter|gauge|histogram)\(\s*"(\w+)"', code))
    for name in sorted(made - {row.removeprefix("manako_") for row in rows}):
        yield f"docs/metrics.md lacks manako_{name}"


# ---- names within the text ----

def name_faults(program, code):
    options = {"--" + name for name in re.findall(r"--(?:no-)?([a-z][a-z0-9-]*)", ask(program, "configuration"))}
    options |= {option.replace("--", "--no-", 1) for option in options} | FOREIGN_OPTIONS
    variables = set(re.findall(r"\b(?:MANAKO|STREAMING_DVC)_[A-Z0-9_]+", ask(program, "configuration") + code))
    codes = set(re.findall(r'^\| *\d+ \| `(\w+)`', ask(program, "exit-codes"), re.M))
    for source in ("net/http_status.c", "api/answer.c"):
        codes |= set(re.findall(r'"([a-z_]+)"\}', (ROOT / "src" / source).read_text()))
    checks = (
        ("option", r"(?<![\w-])--[a-z][a-z0-9-]*", lambda word: word in options),
        ("variable", r"\bMANAKO_[A-Z0-9_]+", lambda word: word in variables),
        ("metric", r"\bmanako_[a-z_]+",
         lambda word: f'"{re.sub("_(bucket|sum|count)$", "", word.removeprefix("manako_"))}"' in code),
        ("code", r'(?<="code": ")\w+|`\w+`(?= \([45]\d\d)', lambda word: word.strip("`") in codes),
    )
    for path in documents():
        text = path.read_text()
        for what, pattern, exists in checks:
            for word in sorted(set(re.findall(pattern, text))):
                if not exists(word):
                    yield f"{path.relative_to(ROOT)}: there is no {what} {word}"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    program, code = str(pathlib.Path(arguments[0]).resolve()), sources()
    found = [*generated_faults(program, "--write" in sys.argv), *link_faults(), *route_faults(program),
             *metric_faults(program, code), *name_faults(program, code)]
    print("\n".join(found) or "docs: clean")
    sys.exit(bool(found))


main()
