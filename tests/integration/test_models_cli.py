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


def split(case: Case, name):
    folder = pathlib.Path(case.path(name))
    shutil.copytree(model_folder("split"), folder)
    return folder, [folder / f"model-0000{part}-of-00003.gguf" for part in (1, 2, 3)]


def model_folder(name):
    if not (MODELS / name / "mmproj.gguf").exists():
        raise Skip("the tiny models are not there")
    return MODELS / name


def test_check_explains_a_model_in_parts(case: Case):
    folder, parts = split(case, "whole")
    result = case.run("models", "check", folder, "--probe")
    equal(result.status, 0, result.err)
    contains(result.out, "26 tensors", "3, model-00001-of-00003.gguf to model-00003-of-00003.gguf", "tried")
    equal(result.out.count("text model"), 1, result.out)
    equal(result.out.count("a pair"), 1, result.out)
    equal(case.run("models", "check", *parts).out.count("text model"), 1)


def test_check_names_the_part_that_is_wrong(case: Case):
    folder, parts = split(case, "wrong")
    later = case.run("models", "check", parts[1])
    equal(later.status, 3, later.err)
    contains(later.err, "is part 2 of 3 of a model; give its first part instead: ", "model-00001-of-00003.gguf")
    parts[1].write_bytes(parts[2].read_bytes())
    result = case.run("models", "check", folder)
    equal(result.status, 5, result.err)
    contains(result.err, "model-00002-of-00003.gguf is part 3 of 3")
    parts[1].unlink()
    result = case.run("models", "check", parts[0])
    equal(result.status, 4, result.err)
    contains(result.err, "model-00002-of-00003.gguf is missing")
    parts[0].unlink()
    result = case.run("models", "check", folder)
    equal(result.status, 4, result.err)
    contains(result.err, "model-00003-of-00003.gguf is part 3 of 3", "model-00001-of-00003.gguf, is missing")


def test_check_tries_a_pair(case: Case):
    result = case.run("models", "check", model("colour"), "--probe")
    equal(result.status, 0, result.err)
    contains(result.out, "tried")


main([value for name, value in list(globals().items()) if name.startswith("test_")])
