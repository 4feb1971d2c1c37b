#!/usr/bin/env python3
"""Whether what captions name is truly there: labelled pictures and clips against the program's words.

    truth.py BUILD [choosing|held-out]

Each picture is captioned alone, each clip as a whole. What the text of a caption names is read from
its words alone: the nouns of data/vocabulary.tsv, the longest first. The main subject is the first
noun of a caption. A noun is right if labels.tsv has it, or a narrower word for it, as subject or as
also to be seen; the picture's subject counts as named if any noun is one that labels.tsv accepts for it.

Prints a line for each file to stderr and the figures of each half as JSON to stdout; writes
BUILD/truth/HALF.html, on which a person sees pictures and captions side by side.
"""

import concurrent.futures
import html
import json
import os
import re
import subprocess
import sys

from rcc import Resources

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CLIPS = (".mp4", ".avi", ".mpg")
AT_ONCE, SECONDS = 2, 600
# Words of the grammar for concepts that are told in another form, and for none at all.
OTHER_WORDS = {"lake": "lakeside"}
NO_NOUNS = re.compile(r"“[^”]*”|\bcamera (?=(?:is|now|keeps|still|pans|tilts|zooms)\b)", re.IGNORECASE)


class Vocabulary:
    def __init__(self, path):
        self.broader, self.words = {}, dict(OTHER_WORDS)
        with open(path, encoding="utf-8") as f:
            for line in f:
                if line.startswith("#") or not line.strip():
                    continue
                name, plural, _, _, broader, _ = line.rstrip("\n").split("\t")
                self.broader[name] = None if broader == "-" else broader
                self.words[name.lower()] = name
                if plural != "-":
                    self.words[plural.lower()] = name
        longest_first = sorted(self.words, key=len, reverse=True)
        self.pattern = re.compile(r"(?<![\w'-])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![\w'-])",
                                  re.IGNORECASE)

    def nouns(self, text):
        return [self.words[w.lower()] for w in self.pattern.findall(NO_NOUNS.sub("", text))]

    def with_broader(self, names):
        found = set()
        for name in names:
            while name is not None and name not in found:
                found.add(name)
                name = self.broader[name]
        return found


class Item:
    """One line of labels.tsv, and what the program said."""

    def __init__(self, line):
        self.half, self.file, seconds, subject, also, known = line.rstrip("\n").split("\t")
        self.span = None if seconds == "-" else seconds.split("-")
        self.subject = subject.split(", ")
        self.also = [] if also == "-" else also.split(", ")
        self.known, self.clip = known == "yes", self.file.endswith(CLIPS)
        self.path, self.texts, self.error = None, [], None

    def caption(self, program):
        command = [program, "caption", "--no-db", "--format", "jsonl"]
        if self.span:
            command += ["--from", self.span[0], "--to", self.span[1]]
        done = subprocess.run([*command, self.path], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        captions = [json.loads(line) for line in done.stdout.splitlines()]
        self.texts = [c["text"] for c in captions if c["type"] == "caption"]
        if done.returncode != 0:
            self.error = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]

    def judge(self, vocabulary):
        true = vocabulary.with_broader(self.subject + self.also)
        nouns = [vocabulary.nouns(text) for text in self.texts]
        self.things = {noun: noun in true for said in nouns for noun in said}
        self.mains = {said[0]: said[0] in true for said in nouns if said}
        self.named = any(noun in self.subject for noun in self.things)

    def line(self):
        wrong = [noun for noun, right in self.things.items() if not right]
        verdict = "WRONG " + ", ".join(wrong) if wrong else "named" if self.named else "nothing wrong"
        if self.error:
            verdict = f"FAILED {self.error[0]}"
        return f"{verdict:24} {self.file}: {' / '.join(self.texts)}"


def read_items(halves, vocabulary):
    with open(os.path.join(HERE, "labels.tsv"), encoding="utf-8") as f:
        items = [Item(line) for line in f if not line.startswith("#")]
    for item in items:
        unknown = set(item.subject + item.also) - vocabulary.broader.keys()
        if unknown:
            sys.exit(f"truth.py: {item.file}: {', '.join(unknown)} is not in data/vocabulary.tsv")
    return [item for item in items if item.half in halves]


def place(items, testdata, folder):
    """Finds each file; pictures inside resource files are unpacked into folder."""
    archives = {}
    for item in items:
        item.path = os.path.join(testdata, item.file)
        if not item.file.startswith("gcompris/"):
            continue
        archive, name = os.path.split(item.file)
        if archive not in archives:
            archives[archive] = Resources(os.path.join(testdata, archive + ".rcc"))
        item.path = os.path.join(folder, item.file.replace("/", "-"))
        with open(item.path, "wb") as f:
            f.write(archives[archive].read(name))


def thumbnail(item, folder):
    """A picture, or four moments of a clip in a row."""
    name = item.file.replace("/", "-") + (f"-{item.span[0]}" if item.span else "") + ".jpg"
    command = ["ffmpeg", "-v", "quiet", "-y"]
    if item.span:
        command += ["-ss", item.span[0], "-to", item.span[1]]
    scale = "scale=240:180:force_original_aspect_ratio=decrease"
    view = f"fps=2,{scale},thumbnail=2,tile=4x1" if item.clip else scale
    subprocess.run([*command, "-i", item.path, "-vf", view, "-frames:v", "1", os.path.join(folder, name)],
                   stdin=subprocess.DEVNULL, check=False)
    return name


def write_sheet(items, half, folder):
    with open(os.path.join(folder, half + ".html"), "w", encoding="utf-8") as f:
        f.write(f"<!doctype html><meta charset=utf-8><title>{half}</title><style>"
                "figure{display:inline-block;vertical-align:top;margin:6px;max-width:240px;font:14px sans-serif}"
                "figure.clip{max-width:960px}small{color:#777}.wrong{background:#fdd}</style>\n")
        for item in items:
            kind = ("clip " if item.clip else "") + ("wrong" if not all(item.things.values()) else "")
            text = "<br>".join(map(html.escape, item.texts))
            f.write(f'<figure class="{kind}"><img src="{html.escape(thumbnail(item, folder))}" alt="">'
                    f"<figcaption>{text}<br><small>{html.escape(item.file)}: {', '.join(item.subject)}</small>"
                    "</figcaption></figure>\n")


def figures(items, half):
    mains = [right for item in items for right in item.mains.values()]
    things = [right for item in items for right in item.things.values()]
    known = [item for item in items if item.known]
    return {
        "bench": "truth", "half": half,
        "pictures": sum(not i.clip for i in items), "clips": sum(i.clip for i in items),
        "named": len(mains), "right": sum(mains), "precision": round(sum(mains) / max(len(mains), 1), 3),
        "things": len(things), "things_right": sum(things),
        "things_precision": round(sum(things) / max(len(things), 1), 3),
        "subject_in_vocabulary": len(known), "subject_named": sum(i.named for i in known),
        "recall": round(sum(i.named for i in known) / max(len(known), 1), 3),
    }


def main():
    build, halves = sys.argv[1], sys.argv[2:] or ["choosing", "held-out"]
    vocabulary = Vocabulary(os.path.join(ROOT, "data", "vocabulary.tsv"))
    found = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "fetch.py"), "--path", "testdata"],
                           capture_output=True, text=True, check=True)
    folder = os.path.join(os.path.abspath(build), "truth")
    os.makedirs(folder, exist_ok=True)
    items = read_items(halves, vocabulary)
    place(items, found.stdout.strip(), folder)
    program = os.path.join(build, "manako")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda item: item.caption(program), items))
    for half in halves:
        of_half = [item for item in items if item.half == half]
        for item in of_half:
            item.judge(vocabulary)
            print(item.line(), file=sys.stderr)
        write_sheet(of_half, half, folder)
        print(json.dumps(figures(of_half, half)), flush=True)
    sys.exit(any(item.error for item in items))


if __name__ == "__main__":
    main()
