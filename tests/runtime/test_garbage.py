"""Python's search for garbage, put off while a run is prepared."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

from penstock.runtime.surroundings.garbage import uncollected


@pytest.fixture(autouse=True)
def collecting() -> Generator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_it_is_put_off_and_goes_on_afterwards() -> None:
    with uncollected():
        assert not gc.isenabled()
        made = [[] for _ in range(2000)]
    assert gc.isenabled()
    # nothing of what was made is left for the next search to go through
    assert len(made) > gc.get_count()[0]


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError, match="wrong"), uncollected():
        raise ValueError("wrong")
    assert gc.isenabled()


def test_who_does_without_it_goes_on_doing_without() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_what_somebody_has_frozen_stays_so() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    with uncollected():
        pass
    # some of it may be gone by now, and what is new is not part of it
    assert frozen / 2 < gc.get_freeze_count() <= frozen
