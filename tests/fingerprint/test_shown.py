"""Values in a few words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from penstock.fingerprint.shown import is_secret, shown
from penstock.fingerprint.sources import Sources


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "a", None, 2.5, b"x"], "[1, 'a', None, 2.5, b'x']"),
        ((1,), "(1,)"),
        ({"b", "a"}, "{'a', 'b'}"),
        ({"x": {"secret_name": "s", "y": 1}}, "{'x': {'secret_name': (hidden), 'y': 1}}"),
        ([[[[[[]]]]]], "[[[[...]]]]"),
        (Path("a/b"), repr(Path("a/b"))),
        (shown, "shown"),
        (Sources, "Sources"),
        (os, "os"),
        (os.environ, "_Environ(...)"),
    ],
)
def test_values_are_shown(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, list(range(10**6)), {n: n for n in range(10**6)}, 10**10_000, b"x" * 10**7],
    ids=["text", "list", "dict", "number", "bytes"],
)
def test_large_values_are_shortened(value: Any) -> None:
    assert len(shown(value)) == 200
    assert shown(value).endswith("...")


def test_a_value_that_holds_itself_is_shown() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert shown(value) == "[1, [1, [1, [1, ...]]]]"


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "apiKey", "api_key", "APIKEY", "token", "githubToken", "SECRET", "secrets", "credentials", "AWS_KEYS"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["keyboard", "tokenizer", "rate", "passage", "secretary", "X"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)
