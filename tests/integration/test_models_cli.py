"""`models check` on model files of one's own."""
import os
import pathlib
import shutil
import struct

from tap import Case, Skip, contains, equal, main

MODELS = pathlib.Path(os.environ.get("MANAKO_TINY_MODELS", "/nonexistent"))


def model(family):
    if not (MODELS / family / "model.gguf").exists():
        raise Skip("the tiny models are not there")
    return MODELS / family


def test_check_explains_a_pair(case: Case):
    result = case.run("models", "check", model("qwen25vl"))
    equal(result.status, 0, result.err)
    contains(result.out, "qwen2vl", "qwen2.5vl_merger", "parameters", "layers", "--model-context 8192", "a pair", "Qwen-VL")
    more = case.run("models", "check", model("qwen25vl"), "--model-context", "16384").out
    contains(more, "--model-context 16384")
    assert more != result.out


def test_check_says_why_a_pair_does_not_fit(case: Case):
    result = case.run("models", "check", model("qwen25vl") / "model.gguf", "--mmproj", model("gemma3") / "mmproj.gguf")
    equal(result.status, 3, result.err)
    contains(result.err, "projector of another model")


def test_check_of_one_file(case: Case):
    shutil.copy(model("smolvlm") / "model.gguf", case.path("alone.gguf"))
    alone = case.run("models", "check", "alone.gguf")
    equal(alone.status, 0, alone.err)
    contains(alone.out, "llama", "no projector")
    tower = case.run("models", "check", model("smolvlm") / "mmproj.gguf")
    equal(tower.status, 0, tower.err)
    contains(tower.out, "idefics3", "width")


def test_check_says_where_a_file_is_damaged(case: Case):
    whole = (model("smolvlm") / "model.gguf").read_bytes()
    for name, data, words in (("cut.gguf", whole[:len(whole) // 2], "cut off"),
                              ("head.gguf", whole[:100], "at byte"),
                              ("keys.gguf", whole[:16] + struct.pack("<Q", 2**60) + whole[24:], "key-values"),
                              ("text.gguf", b"not a model at all", "no magic number"),
                              ("nothing.gguf", b"", "")):
        pathlib.Path(case.path(name)).write_bytes(data)
        result = case.run("models", "check", name)
        equal(result.status, 5, (name, result.err))
        contains(result.err, name, words)
    equal(case.run("models", "check", "./none.gguf").status, 4)
    equal(case.run("models", "check", case.folder).status, 5)  # a folder of damaged ones
    pathlib.Path(case.path("hollow")).mkdir()
    hollow = case.run("models", "check", case.path("hollow"))
    equal(hollow.status, 4)
    contains(hollow.err, "no *.gguf file")


def test_check_tries_a_pair(case: Case):
    result = case.run("models", "check", model("colour"), "--probe")
    equal(result.status, 0, result.err)
    contains(result.out, "tried")


main([value for name, value in list(globals().items()) if name.startswith("test_")])
