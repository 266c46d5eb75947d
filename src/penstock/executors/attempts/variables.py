"""Environment variables that are there for one attempt."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from penstock.secrets import Secret


@contextmanager
def variables(values: Mapping[str, str]) -> Generator[None]:
    """Have environment variables in the block, for the code in it and the programs that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def secret_variables(references: Mapping[str, str]) -> dict[str, str]:
    """Variables with the values of secrets, given by references. Raises SecretError for one that is missing."""
    return {name: Secret(reference).reveal() for name, reference in references.items()}


__all__ = ["secret_variables", "variables"]
