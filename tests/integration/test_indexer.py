"""manako indexer: what docs/indexer.md writes is learnt from, refused when it is not what it says, and the
indexer finds what other routers do not."""
import pathlib
import re

from tap import Case, Skip, contains, equal, main

try:
    import numpy as np
except ImportError:
    np = None

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs" / "indexer.md"
DIM, CLUSTERS, TOKENS, THINGS, VIDEOS, QUESTIONS = 48, 24, 6, 16, 80, 8


def samples(case: Case, name, model="a model"):
    """Videos in which things are seen, and questions that call them otherwise."""
    if np is None:
        raise Skip("needs NumPy")
    code = re.search(r"```python\n(.*?)```", DOC.read_text(), re.S).group(1)
    space = {}
    exec(code, space)
    rng = np.random.default_rng(1)
    looks, names = rng.standard_normal((2, THINGS, DIM))
    videos = []
    for _ in range(VIDEOS):
        tokens = rng.standard_normal((CLUSTERS, TOKENS, DIM))
        where = rng.permutation(CLUSTERS)[:THINGS]
        tokens[where, rng.integers(TOKENS, size=THINGS)] = looks + 0.3 * rng.standard_normal((THINGS, DIM))
        questions = []
        for thing in rng.integers(THINGS, size=QUESTIONS):
            words = rng.standard_normal((4, DIM))
            words[rng.integers(4)] = names[thing] + 0.3 * rng.standard_normal(DIM)
            questions.append((words, [int(i == where[thing]) for i in range(CLUSTERS)], None))
        videos.append((tokens, questions))
    path = case.path(name)
    space["write_samples"](path, DIM, model, videos)
    return path


def recall_4(table):
    return {line.split()[0]: float(line.split()[2]) for line in table.splitlines()[1:]}


def test_train_and_eval(case: Case):
    data = samples(case, "data")
    result = case.run("indexer", "train", data, case.path("trained"), "--rate", "0.005", "--steps", "600")
    equal(result.status, 0, result.err)
    held = recall_4(result.out)
    assert held["indexer"] > held["cos_sim_coarse"] + 0.3, result.out
    assert held["random"] < 0.3, result.out
    result = case.run("indexer", "eval", data, case.path("trained"))
    equal(result.status, 0, result.err)
    equal(set(recall_4(result.out)), set(held))
    result = case.run("indexer", "eval", data)
    equal(set(recall_4(result.out)), set(held) - {"indexer"})


def test_other_model(case: Case):
    case.run("indexer", "train", samples(case, "data"), case.path("trained"), "--steps", "1")
    result = case.run("indexer", "eval", samples(case, "other", "other model"), case.path("trained"))
    equal(result.status, 3, result.err)
    contains(result.err, "another model")


def test_refused(case: Case):
    data = pathlib.Path(samples(case, "data"))
    pathlib.Path(case.path("short")).write_bytes(data.read_bytes()[:-100])
    pathlib.Path(case.path("empty")).touch()
    for name, status in (("short", 5), ("empty", 5), ("nowhere", 4)):
        result = case.run("indexer", "eval", case.path(name))
        equal(result.status, status, result.err)
        contains(result.err, name)
    equal(case.run("indexer", "train", data).status, 2)


main([value for name, value in list(globals().items()) if name.startswith("test_")])
