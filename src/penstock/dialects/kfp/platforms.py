"""What the first version's library has for clusters of one provider or another (`kfp.gcp`, `kfp.aws`, `kfp.onprem`), and what
its files take from Kubernetes' own library, where that is not installed.

`task.apply(...)` takes the first, and `task.add_env_variable(...)` and its like the second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects.kfp.refusing import uncovered
from penstock.dialects.kfp.tasks import PipelineTask
from penstock.dialects.uncovered import Uncovered, is_tried

#: the package of Kubernetes' library
KUBERNETES = "kubernetes"
_CREDENTIALS = "Put credentials where penstock runs, or name them in task.set_env_variable(...)."
_VOLUME = "Files go between tasks as artifacts; take volumes out of the file."


def _refused(name: str, remedy: str) -> Callable[..., Any]:
    def said(*_: Any, **__: Any) -> Any:
        raise uncovered(f"{name}()", remedy)

    return said


def _without_effect(name: str, why: str) -> Callable[..., Any]:
    def said(*_: Any, **__: Any) -> Callable[[PipelineTask], PipelineTask]:
        return lambda task: task.ignore(f"{name}()", why)

    return said


use_gcp_secret = _refused("use_gcp_secret", _CREDENTIALS)
use_tpu = _refused("use_tpu", "A machine with penstock on it has no TPUs to ask for.")
use_k8s_secret = _refused("use_k8s_secret", _CREDENTIALS)
use_aws_secret = _refused("use_aws_secret", _CREDENTIALS)
use_azure_secret = _refused("use_azure_secret", _CREDENTIALS)
mount_pvc = _refused("mount_pvc", _VOLUME)
use_preemptible_nodepool = _without_effect("use_preemptible_nodepool", "there are no nodes to choose from")
add_gpu_toleration = _without_effect("add_gpu_toleration", "there are no nodes to choose from")


class Model:
    """An object of Kubernetes: what it was made with."""

    def __init__(self, *values: Any, **fields: Any) -> None:
        self.__dict__.update(fields)
        self._values = values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return None

    def __repr__(self) -> str:
        told = [*map(repr, self._values), *(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))]
        return f"{type(self).__name__}({', '.join(told)})"


def missing(module: str, name: str) -> Any:
    """What stands for a name that penstock has no counterpart of: it may be imported, and not used. Raises NotCoveredError
    where the file is ready to do without it."""
    if module.partition(".")[0] == KUBERNETES and name.startswith("V1"):
        return type(name, (Model,), {})
    full = f"{module}.{name}"
    if is_tried():
        raise uncovered(full)
    return Uncovered("kfp", full)


__all__ = [
    "KUBERNETES",
    "Model",
    "add_gpu_toleration",
    "missing",
    "mount_pvc",
    "use_aws_secret",
    "use_azure_secret",
    "use_gcp_secret",
    "use_k8s_secret",
    "use_preemptible_nodepool",
    "use_tpu",
]
