"""What a Secret is, and where its value comes from."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from penstock import DefinitionError, PenstockError, Secret, SecretError
from penstock.fingerprint.framing import digest_of
from penstock.secrets import sources
from penstock.secrets.sources import why_missing


def test_a_secret_is_known_by_its_reference() -> None:
    secret = Secret("DB_PASSWORD")
    assert secret == Secret("env:DB_PASSWORD")
    assert secret != Secret("file:DB_PASSWORD")
    assert len({secret, Secret("env:DB_PASSWORD")}) == 1
    assert secret.reference == "env:DB_PASSWORD"
    with pytest.raises(AttributeError):
        secret.reference = "env:OTHER"  # type: ignore[misc]


def test_no_form_of_a_secret_shows_its_value(canary: str) -> None:
    secret = Secret("env:CANARY")
    assert secret.reveal() == canary
    forms: list[Any] = [repr(secret), str(secret), f"{secret}", f"{secret!s:>40}", pickle.dumps(secret)]
    forms += [cloudpickle.dumps(secret), json.dumps(secret, default=str), repr([secret])]
    assert not [form for form in forms if canary in (form if isinstance(form, str) else form.decode("latin-1"))]
    assert pickle.loads(pickle.dumps(secret)) == secret


def test_the_value_does_not_count_for_a_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATED", "one-value")
    before = digest_of(Secret("ROTATED"))
    monkeypatch.setenv("ROTATED", "another-value")
    assert digest_of(Secret("ROTATED")) == before != digest_of(Secret("OTHER"))
    assert before != digest_of("env:ROTATED")


@pytest.mark.parametrize("wrong", ["hunter2!", "env:a b", "keyring:nobody", "", "file:a\nb", 7])
def test_what_is_no_reference_is_refused_and_not_shown(wrong: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        Secret(wrong)
    assert "env:NAME" in str(caught.value)
    assert "test_secret_type.py:" in str(caught.value)
    assert "hunter2!" not in str(caught.value)


def test_a_file_is_read_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("s3cret with spaces \n")
    assert Secret(f"file:{tmp_path}/db").reveal() == "s3cret with spaces "
    # from the working folder
    assert Secret("file:db").reveal() == "s3cret with spaces "


def test_an_entry_of_a_file_is_read_only_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# ours\nexport A=plain\nB='quoted # value'\n\nC = \"spaced\"\n")
    assert [Secret(f"file:.env#{name}").reveal() for name in "ABC"] == ["plain", "quoted # value", "spaced"]
    with pytest.raises(SecretError, match=r"\.env has no entry D"):
        Secret("file:.env#D").reveal()
    with pytest.raises(SecretError, match="no environment variable A"):
        Secret("A").reveal()


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("env:NOT_THERE", "there is no environment variable NOT_THERE"),
        ("env:EMPTY", "the environment variable EMPTY is empty"),
        ("file:/nowhere/db", "No such file"),
        ("file:bytes", "not text in UTF-8"),
        ("file:nothing", "it is empty"),
        ("safe:team/db", "no provider 'safe' is installed (entry points penstock.secrets)"),
    ],
)
def test_a_secret_that_is_missing_says_where_it_was_looked_for(
    reference: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "nothing").write_text("\n")
    with pytest.raises(SecretError) as caught:
        Secret(reference).reveal()
    assert told in str(caught.value)
    assert reference in str(caught.value)
    assert caught.value.remedy
    known = why_missing(reference)
    assert known is not None
    assert told in known.what


def test_a_keyring_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyring.backend")

    class Memory(backend.KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return {("service/part", "me"): "of-the-keyring"}.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    try:
        assert Secret("keyring:service/part/me").reveal() == "of-the-keyring"
        with pytest.raises(SecretError, match="keyring set service you"):
            Secret("keyring:service/you").reveal()
    finally:
        keyring.set_keyring(before)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretError, match=r"penstock\[keyring\]"):
        Secret("keyring:service/me").reveal()


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An installed package that provides secrets."""
    (tmp_path / "safes.py").write_text(
        "def read(key):\n"
        "    if key == 'broken':\n"
        "        raise OSError('the safe is shut')\n"
        "    return {'team/db': 'of-the-safe'}[key]\n"
    )
    information = tmp_path / "safes-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: safes\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[penstock.secrets]\nsafe = safes:read\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sources._providers.cache_clear()  # pyright: ignore[reportPrivateUsage]
    yield
    sys.modules.pop("safes", None)
    sources._providers.cache_clear()  # pyright: ignore[reportPrivateUsage]


@pytest.mark.usefixtures("provider")
def test_a_provider_of_a_package_is_asked() -> None:
    assert Secret("safe:team/db").reveal() == "of-the-safe"
    with pytest.raises(SecretError, match="has nothing under that key"):
        Secret("safe:team/other").reveal()
    with pytest.raises(SecretError, match="OSError: the safe is shut"):
        Secret("safe:broken").reveal()
    assert why_missing("safe:team/other") is None


def test_errors_of_secrets_are_of_the_family() -> None:
    assert issubclass(SecretError, PenstockError)
