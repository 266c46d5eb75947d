"""The registry of models in a folder."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from penstock.errors import ArtifactDamagedError, NotFoundError, StoreError
from penstock.ml import ModelRegistry
from penstock.services import Services

ROWS = np.random.default_rng(7).normal(size=(60, 4))
LABELS = ROWS[:, 0] > 0


def fitted(seed: int = 0) -> Pipeline:
    return make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=seed)).fit(ROWS, LABELS)


def test_versions_count_from_one_and_hold_the_model(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    first = registry.register("forest", fitted(0), metrics={"accuracy": np.float64(0.5)}, metadata={"rows": 60})
    second = registry.register("forest", fitted(1))
    assert (first.version, second.version) == (1, 2)
    assert registry.versions("forest") == [first, second]
    assert registry.latest("forest") == second
    assert (registry.load("forest", 1).predict(ROWS) == fitted(0).predict(ROWS)).all()
    assert (registry.load("forest").predict(ROWS) == fitted(1).predict(ROWS)).all()


def test_the_card_says_what_the_model_is(tmp_path: Path) -> None:
    version = ModelRegistry(tmp_path).register("forest", fitted(), metrics={"accuracy": 0.5}, metadata={"rows": 60})
    card = json.loads((tmp_path / "forest" / "1" / "card.json").read_bytes())
    assert card["digest"] == version.digest
    assert card["type"] == "sklearn.pipeline.Pipeline"
    assert card["metrics"] == {"accuracy": 0.5}
    assert card["metadata"] == {"rows": 60}
    assert card["run_id"] is None
    assert card["created_at"].endswith("Z")
    assert set(card["made_with"]) == {"python", "sklearn"}


def test_the_same_model_is_registered_once(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    first = registry.register("forest", fitted(), metrics={"accuracy": 0.5})
    registry.register("forest", fitted(1))
    for again in (fitted(), pickle.loads(pickle.dumps(fitted())), registry.load("forest", 1)):
        assert registry.register("forest", again, metrics={"accuracy": 0.6}) == first
    assert len(registry.versions("forest")) == 2


def test_how_a_model_lies_in_memory_does_not_matter(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    weights, shared = np.arange(4.0), "".join(["wei", "ghts"])
    first = registry.register("plain", {"weights": weights, "order": ["weights"]})
    read_only = np.arange(4.0)
    read_only.flags.writeable = False
    assert registry.register("plain", {shared: read_only, "order": [shared]}) == first
    assert registry.register("plain", {"weights": weights, "order": [shared]}) == first
    assert registry.register("plain", {"weights": np.arange(8.0)[:4], "order": ["weights"]}) == first
    assert registry.register("plain", {"weights": np.arange(4), "order": ["weights"]}).version == 2


def test_a_deleted_version_can_be_registered_again(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    first = registry.register("forest", fitted())
    shutil.rmtree(first.folder)
    assert registry.versions("forest") == []
    assert registry.register("forest", fitted()).version == 1
    registry.register("forest", fitted(1))
    shutil.rmtree(first.folder)
    assert registry.register("forest", fitted()).version == 3
    assert [version.version for version in registry.versions("forest")] == [2, 3]


def test_models_of_different_names_do_not_meet(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    assert registry.register("a", fitted()).version == 1
    assert registry.register("b", fitted()).version == 1


def test_what_is_not_there_is_said_to_be_not_there(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    assert registry.versions("forest") == []
    with pytest.raises(NotFoundError, match="no model 'forest'"):
        registry.latest("forest")
    registry.register("forest", fitted())
    with pytest.raises(NotFoundError, match=r"no version 2[\s\S]*Its versions are: 1"):
        registry.load("forest", 2)


def test_a_damaged_model_is_not_loaded(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    version = registry.register("forest", fitted())
    (Path(version.folder) / "model.pkl").write_bytes(pickle.dumps("something else"))
    with pytest.raises(ArtifactDamagedError, match="forest version 1"):
        registry.load("forest")


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "forest"}'])
def test_a_damaged_card_is_named(tmp_path: Path, content: str) -> None:
    registry = ModelRegistry(tmp_path)
    version = registry.register("forest", fitted())
    (Path(version.folder) / "card.json").write_text(content)
    with pytest.raises(StoreError, match=r"card\.json is not a model card"):
        registry.versions("forest")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_a_name_must_be_able_to_name_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a model"):
        ModelRegistry(tmp_path).register(name, fitted())


def test_a_model_that_cannot_be_pickled_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        ModelRegistry(tmp_path).register("lambda", lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_is_promoted_is_that_of_its_stage_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_HOME", str(tmp_path / "state"))
    registry = ModelRegistry(tmp_path / "models")
    for model in ("one", "two"):
        registry.register("forest", model)
    with pytest.raises(NotFoundError, match="no version of forest was promoted to production"):
        registry.at_stage("forest")
    for version in (1, 1, None, 1):
        registry.promote("forest", version)
    registry.promote("forest", 2, "staging")
    assert registry.at_stage("forest").version == 1
    assert registry.at_stage("forest", "staging").version == 2
    assert [each.version for each in registry.versions("forest")] == [1, 2]
    with Services().store() as store:
        events = [each for _, each in store.agenda.occurrences(type="model.promoted")]
    assert [(each.data["version"], each.data["stage"]) for each in events] == [
        (1, "production"),
        (2, "production"),
        (1, "production"),
        (2, "staging"),
    ]
    assert {each.subject for each in events} == {"forest"}


def test_what_cannot_be_promoted_is_said(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "models")
    with pytest.raises(NotFoundError, match="there is no model"):
        registry.promote("forest")
    registry.register("forest", "one")
    with pytest.raises(NotFoundError, match="no version 7"):
        registry.promote("forest", 7)
    with pytest.raises(ValueError, match="cannot name a stage"):
        registry.promote("forest", 1, "../production")
    (tmp_path / "models" / "forest" / "stages").mkdir()
    (tmp_path / "models" / "forest" / "stages" / "production.json").write_text("{}")
    with pytest.raises(StoreError, match="not the record of a stage"):
        registry.at_stage("forest")
