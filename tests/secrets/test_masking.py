"""Secrets are found in texts and bytes, whatever they are wrapped in."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import disguises

from penstock import Secret, SecretError
from penstock.secrets import masking


@pytest.fixture
def known(canary: str) -> str:
    """A secret that this process has read."""
    Secret("env:CANARY").reveal()
    return canary


def test_a_secret_is_masked_as_a_part_of_a_text(known: str) -> None:
    assert masking.mask(f"postgresql://me:{known}@db") == "postgresql://me:***@db"
    assert masking.mask("nothing of it") == "nothing of it"


def test_a_secret_is_masked_in_every_disguise(known: str) -> None:
    # those in base64 are cut out of something longer
    for how, disguise in ((how, each) for how, each in disguises(known).items() if "base64" not in how):
        told = f"<{disguise.decode()}>"
        assert masking.mask(told) != told, how
        assert disguise.decode() not in masking.mask(told), how


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "someone:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_masked_in_base64_wherever_it_begins(
    known: str, before: str, encode: Callable[[bytes], bytes]
) -> None:
    told = encode(f"{before}{known}{before}".encode()).decode()
    decoded = base64.urlsafe_b64decode(masking.mask(told).replace("***", "").replace("+", "-").ljust(80, "="))
    assert known.encode()[3:-3] not in decoded


def test_the_lines_of_a_longer_secret_are_masked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [os.urandom(24).hex() for _ in range(3)]
    monkeypatch.setenv("PEM", "\n".join(["-----BEGIN KEY-----", *lines, "-----END KEY-----"]) + "\n")
    Secret("PEM").reveal()
    assert masking.mask(f"| {lines[1]} |") == "| *** |"
    assert masking.mask(json.dumps({"a": os.environ["PEM"]})) == '{"a": "***"}'


def test_a_short_secret_is_masked_only_where_it_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIN", "q7")
    Secret("PIN").reveal()
    assert masking.mask("q7") == "***"
    assert masking.mask("the q7 of it") == "the q7 of it"


@given(cuts=st.lists(st.integers(0, 80), max_size=6))
def test_a_text_that_comes_in_pieces_is_masked_as_a_whole(cuts: list[int]) -> None:
    os.environ["CUT_UP"] = value = "cut-up-secret-0123456789"
    Secret("CUT_UP").reveal()
    text = f"before {value} between {value}{value[:9]} after cut-up-sec"
    stream = masking.Stream()
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    told = "".join(stream.feed(text[start:end]) for start, end in pairwise(places)) + stream.end()
    assert told == text.replace(value, "***")


def test_bytes_are_searched_across_pieces(known: str) -> None:
    data = b"x" * 5000 + known.encode() + b"y" * 5000
    for size in (61, 4096, len(data)):
        sieve = masking.Sieve()
        with pytest.raises(SecretError, match="env:CANARY"):
            for start in range(0, len(data), size):
                sieve.feed(data[start : start + size])


def test_what_was_read_is_documented_by_its_name_only(known: str) -> None:
    masked = masking.masked({"a": [known, 1], f"key {known}": {"deep": quote(known)}})
    assert masked == {"a": ["***", 1], "key ***": {"deep": "***"}}


def test_a_process_without_secrets_has_nothing_to_look_for() -> None:
    code = "from penstock.secrets import masking; t = 'text'; assert masking.mask(t) is t and not masking.active()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
