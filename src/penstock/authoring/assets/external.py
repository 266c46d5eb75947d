"""Assets that are made elsewhere: a function observes which version there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import msgspec

from penstock.authoring.assets.cells import check_asset_name
from penstock.authoring.assets.settings import AboutAsset, AssetSettings, settings_of
from penstock.authoring.decorated import check_function, check_name
from penstock.authoring.kinds.conversion import nearest
from penstock.authoring.kinds.parameters import to_json
from penstock.authoring.options.reading import Refused, duration
from penstock.authoring.source import caller, location_of
from penstock.errors import DefinitionError
from penstock.model.asset import AssetSpec
from penstock.model.place import Location


class Observation(NamedTuple):
    """What was observed of an external asset."""

    #: a text that is another one when the content is
    version: str
    #: JSON-able
    metadata: dict[str, Any]


class ExternalAsset:
    """An asset that is made elsewhere. `function` returns its version, or the version and metadata; None for one that
    nothing is known of but that it is there."""

    role = "external asset"

    def __init__(
        self,
        name: str,
        settings: AssetSettings,
        function: Callable[[], Any] | None,
        every: float | None,
        location: Location,
    ) -> None:
        check_asset_name(name, str(location))
        self.name = name
        self.settings = settings
        self.function = function
        self.every = every
        self.location = location

    @property
    def spec(self) -> AssetSpec:
        """What it is."""
        import inspect

        described = self.settings.description or (inspect.getdoc(self.function) if self.function else "") or ""
        return msgspec.structs.replace(
            self.settings.spec(self.name, described), external=True, observe_every=self.every, location=self.location
        )

    def observe(self) -> Observation | None:
        """Ask which version there is; None where there is none, or no function to ask. Raises what the function raises, and
        TypeError for an answer that is no version."""
        answer = None if self.function is None else self.function()
        if answer is None:
            return None
        version: Any = answer
        metadata: Any = {}
        if isinstance(answer, tuple) and len(cast(Any, answer)) == 2:
            version, metadata = cast("tuple[Any, Any]", answer)
        if (
            not isinstance(version, (str, int, float, bytes))
            or isinstance(version, bool)
            or not isinstance(metadata, dict)
        ):
            raise TypeError(
                f"the observation of {self.name} returned {answer!r:.80}; it has to return a version (a text that is another "
                "one when the content is), or the version and a dict of metadata"
            )
        text = version.hex() if isinstance(version, bytes) else str(version)
        return Observation(text, to_json(metadata))

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise DefinitionError(
            f"{self.name} is made elsewhere, and cannot be made by a call",
            where=str(caller()),
            remedy=f"What depends on it names it: @asset(deps=[{self.name!r}]).",
        )

    def __repr__(self) -> str:
        return f"<external asset {self.name} at {self.location}>"


def external_asset(
    name: str | Callable[[], Any] | None = None,
    /,
    *,
    observe: Callable[[], Any] | None = None,
    every: Any = None,
    **about: Any,
) -> Any:
    """Declare an asset that is made elsewhere: `orders = external_asset("orders", observe=latest_order)`, or as the decorator
    of the function that observes it.

    The function returns a version (a text that is another one when the content is), or the version and a dict of metadata;
    None where there is nothing. It is asked by `penstock assets observe`, and with `every` by the daemon as often as that
    (seconds, a timedelta, or text such as "5min"). What else there is to say of it: `group`, `owners`, `tags`,
    `description`, `metadata`, `fresh`. Raises DefinitionError.
    """
    unknown = next((key for key in about if key not in AboutAsset.__annotations__ or key == "partitions"), None)
    if unknown is not None:
        known = [key for key in AboutAsset.__annotations__ if key != "partitions"]
        raise DefinitionError(
            f"there is no option {unknown!r} of an external asset{nearest(unknown, known)}", where=str(caller())
        )
    settings = settings_of(about)
    try:
        seconds = None if every is None else duration(every)
    except Refused as refusal:
        raise DefinitionError(f"every must be {refusal}, not {every!r}", where=str(caller())) from None
    if isinstance(name, str):
        check_name(name)
        if observe is None and seconds is not None:
            raise DefinitionError("every says how often to observe, and there is no observe=", where=str(caller()))
        return ExternalAsset(name, settings, observe, seconds, caller())

    def decorate(function: Callable[[], Any]) -> ExternalAsset:
        check_function(function, "external_asset")
        return ExternalAsset(function.__name__, settings, function, seconds, location_of(function))

    return decorate if name is None else decorate(name)


def observations(assets: Mapping[str, Any]) -> dict[str, ExternalAsset]:
    """Those of the assets that can be observed, by name."""
    return {
        name: each for name, each in assets.items() if isinstance(each, ExternalAsset) and each.function is not None
    }


__all__ = ["ExternalAsset", "Observation", "external_asset", "observations"]
