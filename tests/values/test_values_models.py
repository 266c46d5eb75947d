"""Estimators, modules, figures, and whatever else can only be pickled."""

from __future__ import annotations

# What pandas, scikit-learn and torch take and return is wider than what is known of their types.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false
import importlib
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from penstock.errors import OutputError, StoreError
from penstock.values import Values

mpl.use("Agg")

X, Y = load_iris(return_X_y=True)

ESTIMATORS = {
    "forest": lambda: RandomForestClassifier(5, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3, random_state=0),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0),
    "logistic": lambda: LogisticRegression(max_iter=500),
    "vectors": SVC,
    "network": lambda: MLPClassifier((4,), random_state=0, solver="lbfgs", max_iter=1000),
    "means": lambda: KMeans(3, n_init=1, random_state=0),
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "pipeline": lambda: make_pipeline(
        ColumnTransformer([("scale", StandardScaler(), [0, 1])], remainder="passthrough"),
        FunctionTransformer(np.abs),
        LogisticRegression(max_iter=500),
    ),
}

#: those that come out the same to the last bit in any process; linear algebra may round differently
EXACT = ("forest", "boosting", "histogram", "tree")

#: what a fresh process does: move memory about, then fit the exact ones and read the others
ELSEWHERE = """
import pathlib, pickle, sys, tempfile
sys.path.insert(0, sys.argv[1])
import numpy as np
junk = [np.random.rand(n % 97, 3) for n in range(int(sys.argv[2]))]
del junk[::2]
import test_values_models as here
from penstock.blobs.local import LocalBlobs
values = here.Values(LocalBlobs(pathlib.Path(tempfile.mkdtemp())), workspace=pathlib.Path("."))
for name, pickled in pickle.load(sys.stdin.buffer).items():
    model = here.ESTIMATORS[name]().fit(here.X, here.Y) if name in here.EXACT else pickle.loads(pickled)
    print(name, values.store(model)[0].digest.hex())
"""


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators_come_back_and_predict_the_same(values, name):
    model = ESTIMATORS[name]().fit(X, Y)
    artifact, _ = values.store(model)
    back = values.load(artifact)
    assert artifact.codec == "estimator"
    assert type(back) is type(model)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    assert values.store(back)[0].digest == artifact.digest
    preview = values.preview(artifact)
    json.dumps(preview)
    assert preview["class"].startswith("sklearn.")
    assert preview["parameters"].keys() == model.get_params(deep=False).keys()


@pytest.mark.slow
def test_equal_fits_in_any_process_have_one_digest(digest):
    fitted = {name: make().fit(X, Y) for name, make in ESTIMATORS.items()}
    pickled = pickle.dumps({name: pickle.dumps(model) for name, model in fitted.items()})
    here = {name: digest(model).hex() for name, model in fitted.items()}
    for count, seed in (("10", "1"), ("5000", "2")):
        command = [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent), count]
        run = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, input=pickled, capture_output=True, check=True
        )
        assert dict(line.split() for line in run.stdout.decode().splitlines()) == here
    assert len(set(here.values())) == len(here)


def test_estimators_that_differ_have_different_digests(digest):
    model = LogisticRegression(max_iter=500)
    digests = {
        digest(model),
        digest(LogisticRegression(max_iter=501)),
        digest(model.fit(X, Y)),
        digest(model.fit(X[:-1], Y[:-1])),
    }
    assert len(digests) == 4


def test_a_function_inside_a_model_counts_by_what_it_does(digest):
    def transformer(factor: int) -> FunctionTransformer:
        return FunctionTransformer(lambda x: x * factor)

    assert digest(transformer(2)) == digest(transformer(2))
    assert digest(transformer(2)) != digest(transformer(3))
    assert digest(FunctionTransformer(lambda x: x + 1)) != digest(FunctionTransformer(lambda x: x - 1))


def test_the_preview_of_an_estimator(values):
    preview = values.preview(values.store(KMeans(3, n_init=1, random_state=0).fit(X))[0])
    assert preview["class"] == "sklearn.cluster.KMeans"
    assert preview["parameters"]["n_clusters"] == 3
    assert preview["fitted"]["cluster_centers_"]["shape"] == [3, 4]
    assert values.preview(values.store(KMeans())[0])["fitted"] == {}


def test_estimators_are_exported(values, tmp_path):
    import joblib

    artifact, _ = values.store(LogisticRegression(max_iter=500).fit(X, Y))
    path = values.export(artifact, tmp_path / "model")
    assert path.suffix == ".joblib"
    assert joblib.load(path).score(X, Y) > 0.9
    assert values.export(artifact, tmp_path).name == "logisticregression.joblib"
    assert values.export(artifact, tmp_path / "m.pkl").exists()


def figure(height: float = 1.0) -> Figure:
    made = Figure(figsize=(3, 2))
    made.subplots().plot([0, 1], [0, height])
    return made


def test_figures_come_back_and_are_known_by_their_looks(values, digest, tmp_path):
    artifact, description = values.store(figure())
    back = values.load(artifact)
    assert (artifact.codec, artifact.type, type(back)) == ("figure", "matplotlib.figure.Figure", Figure)
    assert digest(back) == digest(figure()) == artifact.digest
    assert digest(figure(2.0)) != artifact.digest
    assert description.preview["png"].startswith("iVBOR")
    assert len(json.dumps(description.preview)) < 50_000
    png = values.export(artifact, tmp_path / "plot")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in values.export(artifact, tmp_path / "plot.svg").read_bytes()


class Thing:
    def __init__(self, **parts: object) -> None:
        self.__dict__.update(parts)


def test_other_objects_are_pickled_and_it_is_said_once(values):
    artifact, _ = values.store(Thing(a=1, b=np.arange(5000)))
    back = values.load(artifact)
    assert artifact.codec == "pickle"
    assert back.b.flags.writeable
    np.testing.assert_array_equal(back.b, np.arange(5000))
    values.store(Thing(a=2))
    (notice,) = values.take_notices()
    assert "Thing" in notice
    assert values.take_notices() == []
    assert values.preview(artifact)["attributes"]["a"] == 1


def test_the_digest_of_an_object_is_its_structure(digest):
    def thing(*, shared: bool) -> Thing:
        text = "-".join(["a", "b"])
        return Thing(one=[text], two=[text if shared else "-".join(["a", "b"])], set={"x", "y"})

    assert digest(thing(shared=True)) == digest(thing(shared=False))
    first, second = Thing(a=1, b=2), Thing(b=2, a=1)
    assert digest(first) == digest(second)
    for other in (Thing(a=1, b=3), Thing(a=1), Thing(a=1, b=2.0), Thing(a=1, b=True)):
        assert digest(other) != digest(first)


def test_objects_that_contain_themselves(digest, trip):
    def loop(value: int) -> Thing:
        outer = Thing(value=value)
        outer.inner = Thing(outer=outer)  # pyright: ignore[reportAttributeAccessIssue]
        return outer

    assert trip(loop(1)).inner.outer.value == 1
    assert digest(loop(1)) == digest(loop(1))
    assert digest(loop(1)) != digest(loop(2))


def test_pickling_can_be_switched_off(blobs, tmp_path):
    values = Values(blobs, workspace=tmp_path, pickle=False)
    with pytest.raises(OutputError, match="Thing") as caught:
        values.store([Thing()])
    assert "penstock.values" in (caught.value.remedy or "")
    assert values.load(values.store(LogisticRegression())[0]).max_iter == 100
    assert values.load(values.store(np.arange(3))[0]).sum() == 3


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (Thing(fine=1, inner=Thing(lock=threading.Lock())), r"\.inner\.lock, of type _thread\.lock"),
        ([1, {"a": (n for n in "ab")}], r"generator"),
        (Thing(items=[1, threading.Lock()]), r"\.items\[1\]"),
    ],
)
def test_what_cannot_be_pickled_is_named(values, value, place):
    with pytest.raises(OutputError, match=place) as caught:
        values.store(value)
    assert caught.value.remedy


class Custom(BaseEstimator):
    def __init__(self, resource: object = None) -> None:
        self.resource = resource


def test_an_estimator_that_cannot_be_pickled_is_named_too(values):
    with pytest.raises(OutputError, match=r"Custom.*\.resource"):
        values.store(Custom(threading.Lock()))


CODEC = """
from pathlib import Path
from penstock.values import Encoded

class Raster:
    def __init__(self, cells):
        self.cells = cells

class RasterCodec:
    name = "raster"
    def accepts(self, value):
        return isinstance(value, Raster)
    def encode(self, value):
        return Encoded([b"RAST", bytes(value.cells)])
    def decode(self, data):
        return Raster(list(data[4:]))
    def preview(self, value):
        return {"kind": "raster", "cells": len(value.cells)}
    def export(self, value, path):
        path = path.with_suffix(".rast")
        path.write_bytes(bytes(value.cells))
        return path

class Broken:
    def __init__(self):
        raise RuntimeError("not today")
"""


@pytest.fixture
def rasters(tmp_path, monkeypatch):
    """An installed distribution that adds a codec, and another that does not load."""
    site = tmp_path / "site"
    info = site / "rasters-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "rasters_for_penstock.py").write_text(CODEC)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rasters\nVersion: 1.0\n")
    points = ("raster = rasters_for_penstock:RasterCodec", "broken = rasters_for_penstock:Broken")
    (info / "entry_points.txt").write_text("[penstock.values]\n" + "\n".join(points) + "\n")
    monkeypatch.syspath_prepend(str(site))
    yield importlib.import_module("rasters_for_penstock")
    sys.modules.pop("rasters_for_penstock")


def test_a_package_can_add_a_family(rasters, values, digest, tmp_path):
    artifact, _ = values.store(rasters.Raster([1, 2, 3]))
    assert (artifact.codec, artifact.type) == ("raster", "rasters_for_penstock.Raster")
    assert values.load(artifact).cells == [1, 2, 3]
    assert values.preview(artifact) == {"kind": "raster", "cells": 3}
    assert values.export(artifact, tmp_path / "r").read_bytes() == b"\1\2\3"
    assert digest(rasters.Raster([1, 2, 3])) == artifact.digest != digest(rasters.Raster([1, 2, 4]))
    assert values.load(values.store([rasters.Raster([5])])[0])[0].cells == [5]
    (notice,) = values.take_notices()
    assert "broken" in notice
    assert "not today" in notice


def test_a_value_of_a_family_that_is_not_installed(rasters, values, blobs, tmp_path, monkeypatch):
    artifact, _ = values.store(rasters.Raster([1]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not entry.endswith("site")])
    with pytest.raises(StoreError, match="raster") as caught:
        Values(blobs, workspace=tmp_path).load(artifact)
    assert "Install" in (caught.value.remedy or "")


def test_nothing_is_imported_before_it_is_needed():
    code = (
        "import sys, pathlib, tempfile\n"
        "from penstock.values import Values\n"
        "from penstock.blobs.local import LocalBlobs\n"
        "root = pathlib.Path(tempfile.mkdtemp())\n"
        "values = Values(LocalBlobs(root), workspace=root)\n"
        "class Any: pass\n"
        "for value in (1, [1, (2,)], Any(), pathlib.Path('x'), {'a': Any()}): values.load(values.store(value)[0])\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'polars', 'sklearn', 'torch', 'matplotlib', 'pydantic', 'scipy', 'joblib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_an_array_can_be_loaded_where_nothing_was_imported(values, blobs, tmp_path):
    import msgspec

    artifact, _ = values.store(np.arange(10_000))
    code = (
        "import sys, pathlib, msgspec\n"
        "from penstock.values import Values\n"
        "from penstock.model.value import Artifact\n"
        "from penstock.blobs.local import LocalBlobs\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "artifact = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Artifact)\n"
        "print(Values(LocalBlobs(root), workspace=root).load(artifact).sum())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "blobs")],
        input=msgspec.msgpack.encode(artifact),
        capture_output=True,
        check=True,
    )
    assert int(run.stdout) == sum(range(10_000))


def test_torch_tensors_modules_and_states(values, digest, tmp_path):
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6).reshape(2, 3)
    assert torch.equal(values.load(values.store(tensor)[0]), tensor)
    assert digest(tensor) == digest(tensor.clone().t().contiguous().t())
    assert (
        len(
            {
                digest(other)
                for other in (tensor, tensor.float(), tensor.reshape(3, 2), tensor + 1, tensor.to(torch.bfloat16))
            }
        )
        == 5
    )

    def module(seed: int) -> object:
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())

    artifact, _ = values.store(module(0))
    assert (artifact.codec, artifact.type) == ("torch", "torch.nn.modules.container.Sequential")
    assert digest(module(0)) == artifact.digest != digest(module(1))
    back = values.load(artifact)
    assert torch.equal(back(torch.ones(3)), module(0)(torch.ones(3)))
    state = module(0).state_dict()
    assert torch.equal(values.load(values.store(state)[0])["0.weight"], state["0.weight"])
    assert digest(state) == digest(module(0).state_dict()) != digest(module(1).state_dict())
    json.dumps([values.preview(values.store(value)[0]) for value in (tensor, module(0), state)])
    assert values.export(artifact, tmp_path / "m").suffix == ".pt"
