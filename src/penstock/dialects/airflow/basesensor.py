"""`BaseSensorOperator`: an operator that waits. penstock asks it again and again, and it holds no worker in between."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.authoring.source import caller
from penstock.dialects.airflow.baseoperator import BaseOperator
from penstock.errors import DefinitionError

if TYPE_CHECKING:
    from penstock.dialects.airflow.inputs import Reads

#: seconds, as in Airflow
_WEEK = 7 * 24 * 3600.0


class PokeReturnValue:
    """What `poke` may return: whether it is done, and the XCom."""

    def __init__(self, is_done: bool, xcom_value: Any = None) -> None:
        self.is_done = is_done
        self.xcom_value = xcom_value

    def __bool__(self) -> bool:
        return self.is_done


class BaseSensorOperator(BaseOperator):
    """A sensor. Subclasses write `poke(context)`, which says whether what is waited for is there."""

    is_sensor: ClassVar[bool] = True
    valid_modes: ClassVar[tuple[str, ...]] = ("poke", "reschedule")

    def __init__(
        self,
        *,
        poke_interval: timedelta | float = 60,
        timeout: timedelta | float = _WEEK,
        soft_fail: bool = False,
        mode: str = "poke",
        exponential_backoff: bool = False,
        max_wait: timedelta | float | None = None,
        silent_fail: bool = False,
        never_fail: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mode not in self.valid_modes:
            raise DefinitionError(
                f"the mode of a sensor is one of {', '.join(self.valid_modes)}, not {mode!r}", where=str(caller())
            )
        #: seconds, all of them
        self.poke_interval = _seconds(poke_interval)
        self.timeout = _seconds(timeout)
        self.max_wait = None if max_wait is None else _seconds(max_wait)
        self.soft_fail = soft_fail
        #: without effect: penstock always waits as `reschedule` does
        self.mode = mode
        self.exponential_backoff = exponential_backoff
        #: what `poke` raises means: not yet
        self.silent_fail = silent_fail
        #: what `poke` raises means: skip
        self.never_fail = never_fail

    def reads(self) -> Reads:
        from penstock.dialects.airflow.inputs import reads_of_method

        return reads_of_method(type(self).poke)

    def poke(self, context: Any) -> bool | PokeReturnValue:
        """Whether what is waited for is there."""
        raise NotImplementedError

    @property
    def reschedule(self) -> bool:
        return self.mode == "reschedule"


def poke_mode_only(cls: type) -> type:
    """`airflow.sensors.base.poke_mode_only`: the mode has no effect here."""
    return cls


def _seconds(value: timedelta | float) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


__all__ = ["BaseSensorOperator", "PokeReturnValue", "poke_mode_only"]
