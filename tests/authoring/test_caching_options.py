"""The options that say when a recorded result may be used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock import DefinitionError, command, pipeline, task
from penstock.model.graph import Node
from penstock.model.policy import Caching


@task
def fit(data: list[int], depth: int = 3, *rest: int, **more: int) -> float:
    return float(depth)


def test_all_together() -> None:
    made = fit.options(version="2024-06", cache_ignore=["depth"], reads=[], refresh=True, cache_for=60)
    assert made.policy.caching == Caching(lifetime=60.0, version="2024-06", ignored=("depth",), refresh=True)
    assert (made.policy.cache, fit.policy.caching) == (True, Caching())
    assert fit.options(cache_key=len_of).policy.caching == Caching(keyed=True)
    assert fit.options(cache_key=len_of).options(cache_key=None).policy.caching == Caching()


def len_of(data: list[int]) -> int:
    return len(data)


def test_effects_are_why_something_is_not_cached() -> None:
    policy = task(effects=True)(len_of).policy
    assert (policy.cache, policy.caching) == (False, Caching(effects=True))
    assert task(effects=True)(len_of).options(effects=False).policy.cache


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (90, 90.0),
        (0.5, 0.5),
        (timedelta(days=2), 172800.0),
        ("30s", 30.0),
        ("15 min", 900.0),
        ("15m", 900.0),
        ("12h", 43200.0),
        ("1.5h", 5400.0),
        ("7d", 604800.0),
        ("2w", 1209600.0),
        (" 1d 12h ", 129600.0),
        (None, None),
    ],
)
def test_lifetimes(given: Any, seconds: float | None) -> None:
    assert fit.options(cache_for=given).policy.caching.lifetime == seconds


@pytest.mark.parametrize(
    "given", [0, "0h", -1, True, "", "12", "12 hours", "h", "1d-2h", [], float("inf"), float("nan")]
)
def test_what_is_no_lifetime(given: Any) -> None:
    with pytest.raises(DefinitionError, match=r'cache_for must be a length of time above 0: .* such as "12h" or "7d"'):
        fit.options(cache_for=given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 2}, "version must be a text, not 2"),
        ({"effects": 1}, "effects must be true or false"),
        ({"refresh": "fit"}, "refresh must be true or false"),
        ({"cache_ignore": [3]}, "cache_ignore must be a list of texts"),
        ({"cache_ignore": ["dept"]}, "cache_ignore names 'dept', which is no input of fit; did you mean 'depth'?"),
        ({"cache_key": "depth"}, "cache_key must be a function that takes inputs of the task by their names"),
        ({"cache_key": lambda deth: 1}, "the cache_key takes 'deth', which is no input of fit; did you mean 'depth'?"),
        ({"cache_key": lambda x, /: 1}, "the cache_key of fit takes x by its position"),
        ({"cache_key": lambda *data: 1}, "the cache_key of fit takes data by its position"),
        ({"cache_key": max}, "the cache_key of fit does not tell which inputs it takes"),
        ({"cache_key": len_of, "cache_ignore": ["depth"]}, "cache_key says which inputs count, and cache_ignore which"),
        ({"effects": True, "cache": True}, "effects=True keeps a task out of the cache, and cache says how"),
        ({"effects": True, "cache_for": "1h"}, "effects=True keeps a task out of the cache, and cache_for says how"),
        ({"cache": False, "cache_for": 60}, "cache=False keeps a task out of the cache, and cache_for says how"),
        ({"cache": False, "refresh": True}, "cache=False keeps a task out of the cache, and refresh says how"),
        ({"reads": 3}, "reads must be the path of a file or a folder, or a list of them, not 3"),
        ({"reads": [""]}, "reads must be the path of a file or a folder"),
    ],
)
@pytest.mark.parametrize("way", ["task", "options"])
def test_refusals(options: dict[str, Any], message: str, way: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        fit.options(**options) if way == "options" else task(**options)(fit.function)
    assert message in caught.value.what
    assert str(caught.value.where).startswith(f"{__file__}:")


def test_an_unknown_option_is_told_with_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="no option 'cache_ttl'; did you mean 'cache"):
        task(cache_ttl=3)(len_of)  # pyright: ignore[reportCallIssue]


def node_of(call: Callable[[], Any], **options: Any) -> Node:
    (node,) = pipeline(**options)(call).graph().nodes
    return node


def test_a_file_is_found_beside_the_file_that_names_it_or_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.txt").write_text("")
    named = ["refusals.py", "here.txt", "later.txt", Path("here.txt"), tmp_path / "away.txt"]
    beside = Path(__file__).with_name("refusals.py")
    expected = [beside, *[tmp_path / name for name in ("here.txt", "later.txt", "away.txt")]]
    assert fit.options(reads=named).policy.caching.reads == tuple(map(str, expected))
    assert fit.options(reads="here.txt").policy.caching.reads == (str(tmp_path / "here.txt"),)


def test_a_command_has_them_too() -> None:
    made = command("echo {n}", cache_for="1h", version="2", cache_ignore=["n"])
    assert made.policy.caching == Caching(lifetime=3600.0, version="2", ignored=("n",))
    with pytest.raises(DefinitionError, match="no input of echo"):
        command("echo {n}", cache_ignore=["m"])


def test_defaults_may_ignore_inputs_that_only_some_tasks_have() -> None:
    caching = node_of(lambda: fit([1]), defaults={"cache_ignore": ["verbose"], "version": "1"}).policy.caching
    assert caching == Caching(version="1", ignored=("verbose",))
    with pytest.raises(DefinitionError, match="the cache_key takes 'seed', which is no input of fit"):
        node_of(lambda: fit([1]), defaults={"cache_key": lambda seed: seed})
