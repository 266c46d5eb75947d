"""Pickles are only loaded from those who may write them."""

from __future__ import annotations

import dataclasses
import enum
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError, StoreError, UntrustedError, pipeline, task
from penstock.blobs.local import LocalBlobs
from penstock.errors import ArtifactDamagedError
from penstock.model.fault import exception_of, fault_of
from penstock.model.value import Artifact
from penstock.secrets.signing import NO_KEYS, Trust
from penstock.values import Values

OURS, THEIRS = b"o" * 32, b"t" * 32


class Held:
    """Is only stored by a pickle."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


class Trap:
    """Leaves a file behind where it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.place),))


def values(root: Path, trust: Trust = NO_KEYS, **options: Any) -> Values:
    return Values(LocalBlobs(root / "blobs"), workspace=root / "files", trust=trust, **options)


def pandas_frame() -> Any:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    return pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


def odd_frame() -> Any:
    pd = pytest.importorskip("pandas")
    return pd.DataFrame({"a": [1, 2], "b": [Held(1), {1, 2}]})


def estimator() -> Any:
    return pytest.importorskip("sklearn.linear_model").LinearRegression()


def figure() -> Any:
    return pytest.importorskip("matplotlib.figure").Figure()


def local_member() -> Any:
    class Color(enum.Enum):
        RED = 1

    return [Color.RED, 2]


def local_record() -> Any:
    @dataclasses.dataclass
    class Point:
        x: int
        held: Any

    return Point(1, Held(2))


PICKLED = [
    pytest.param(lambda: Held(3), id="object"),
    pytest.param(lambda: {"a": [Held(3)]}, id="in a tree"),
    pytest.param(pandas_frame, id="frame"),
    pytest.param(odd_frame, id="odd frame"),
    pytest.param(estimator, id="estimator", marks=pytest.mark.slow),
    pytest.param(figure, id="figure", marks=pytest.mark.slow),
    pytest.param(local_member, id="enum"),
    pytest.param(local_record, id="record"),
]


@pytest.mark.parametrize("make", PICKLED)
def test_a_signed_pickle_is_loaded_by_those_who_trust_its_key(make: Callable[[], Any], tmp_path: Path) -> None:
    value = make()
    artifact, _ = values(tmp_path, Trust(OURS)).store(value, output=True)
    for trust in (Trust(OURS), Trust(THEIRS, [OURS]), Trust(None, [OURS]), NO_KEYS):
        again = values(tmp_path, trust).load(artifact)
        assert type(again).__qualname__ == type(value).__qualname__


@pytest.mark.parametrize("make", PICKLED)
@pytest.mark.parametrize("writer", [NO_KEYS, Trust(THEIRS)], ids=["nobody", "another"])
def test_any_other_pickle_is_refused(make: Callable[[], Any], writer: Trust, tmp_path: Path) -> None:
    artifact, _ = values(tmp_path, writer).store(make(), output=True)
    _forget_classes()
    with pytest.raises(UntrustedError) as caught:
        values(tmp_path, Trust(OURS)).load(artifact)
    assert "trusted_keys" in str(caught.value)


def _forget_classes() -> None:
    """Classes that were made from pickles are remembered, which needs no loading."""
    from penstock.fingerprint import framing

    framing._unpickled_class.cache_clear()  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("limit", [0, 100_000], ids=["blob", "row"])
def test_what_is_refused_is_not_run(limit: int, tmp_path: Path) -> None:
    place = tmp_path / "trapped"
    artifact, _ = values(tmp_path, inline_limit=limit).store({"a": Trap(place)}, output=True)
    with pytest.raises(UntrustedError):
        values(tmp_path, Trust(OURS)).load(artifact)
    assert not place.exists()
    # with no keys it is run, which is what the keys are for
    values(tmp_path).load(artifact)
    assert place.exists()


def test_what_was_signed_is_not_exchanged_for_another(tmp_path: Path) -> None:
    store = values(tmp_path, Trust(OURS), inline_limit=100_000)
    artifact, _ = store.store(Held(1), output=True)
    assert artifact.payload is not None
    for place in (3, 20, 40, 70, len(artifact.payload) - 1):
        changed = bytearray(artifact.payload)
        changed[place] ^= 1
        tampered = Artifact("pickle", "Held", artifact.digest, artifact.size, bytes(changed))
        with pytest.raises(UntrustedError):
            store.load(tampered)


def test_plain_data_needs_no_signature(tmp_path: Path) -> None:
    artifact, _ = values(tmp_path).store({"a": [1, 2.5, "x"], "p": (None, b"y")}, output=True)
    assert values(tmp_path, Trust(OURS)).load(artifact) == {"a": [1, 2.5, "x"], "p": (None, b"y")}


def test_equal_values_are_equal_whoever_signs_them(tmp_path: Path) -> None:
    made = [values(tmp_path, trust).store(Held(1), output=True)[0] for trust in (NO_KEYS, Trust(OURS), Trust(THEIRS))]
    assert len({artifact.digest for artifact in made}) == 1


def test_who_has_no_key_of_his_own_signs_nothing(tmp_path: Path) -> None:
    with pytest.raises(UntrustedError, match="no key to sign with"):
        values(tmp_path, Trust(None, [OURS])).store(Held(1), output=True)


def test_exceptions_are_loaded_by_the_same_rule() -> None:
    fault = fault_of(ValueError("wrong"))
    assert isinstance(exception_of(fault), ValueError)
    assert exception_of(fault, Trust(OURS).open) is None
    assert fault.pickled is not None
    signed = type(fault)(fault.type, fault.message, fault.traceback, pickled=Trust(OURS).seal(fault.pickled))
    assert isinstance(exception_of(signed, Trust(OURS).open), ValueError)
    assert isinstance(exception_of(signed), ValueError)
    assert exception_of(signed, Trust(THEIRS).open) is None


def test_with_pickling_off_no_pickle_is_loaded(tmp_path: Path) -> None:
    artifact, _ = values(tmp_path).store(Held(1), output=True)
    with pytest.raises(UntrustedError, match="switched off"):
        values(tmp_path, pickle=False).load(artifact)


def test_bytes_are_only_loaded_with_the_digest_that_they_are_stored_under(tmp_path: Path) -> None:
    artifact, _ = values(tmp_path, inline_limit=0).store(Held(1), output=True)
    assert artifact.blob is not None
    name = artifact.blob.hex()
    file = tmp_path / "blobs" / name[:2] / name[2:4] / name
    data = pickle.dumps(Trap(tmp_path / "trapped"))
    file.chmod(0o600)
    file.write_bytes(data.ljust(file.stat().st_size, b"."))
    with pytest.raises(ArtifactDamagedError):
        values(tmp_path).load(artifact)
    assert not (tmp_path / "trapped").exists()


def settings(folder: Path, text: str) -> None:
    (folder / "penstock.toml").write_text(text)


@task
def makes() -> Any:
    return Held(4)


@task
def takes(held: Any) -> int:
    return held.value


@task
def breaks() -> None:
    raise KeyError("mine")


@pipeline
def handing_on() -> int:
    return takes(makes())


@pipeline
def breaking() -> None:
    breaks()


def test_a_project_has_its_keys_in_files_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("k" * 64 + "\n")
    settings(tmp_path, 'signing_key = "file:key"')
    assert handing_on.options(executor="inline").run().result == 4
    with pytest.raises(KeyError):
        _ = breaking.options(executor="inline").run().result
    monkeypatch.setenv("OTHER_KEY", "o" * 64)
    settings(tmp_path, 'signing_key = "env:OTHER_KEY"')
    # what is recorded was written with another key
    with pytest.raises(UntrustedError):
        _ = takes_again.options(executor="inline").run().result
    settings(tmp_path, 'signing_key = "env:OTHER_KEY"\ntrusted_keys = ["file:key"]')
    assert takes_again.options(executor="inline").run().result == 40


@task
def takes_more(held: Any) -> int:
    return held.value * 10


@pipeline
def takes_again() -> int:
    return takes_more(makes())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('signing_key = "file:nowhere"', "cannot be read"),
        ('signing_key = "env:SHORT_KEY"', "too short"),
        ('signing_key = "the-key-itself-in-the-settings-file"', "takes a reference"),
        ('trusted_keys = ["the-key-itself"]', "takes references"),
    ],
)
def test_keys_that_are_wrong_are_told(text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT_KEY", "short")
    settings(tmp_path, text)
    with pytest.raises(DefinitionError, match=told) as caught:
        handing_on.options(executor="inline").run()
    assert "the-key-itself" not in str(caught.value)


def test_the_error_is_one_of_the_store() -> None:
    assert issubclass(UntrustedError, StoreError)
