"""`kfp.kubernetes`: what is said of pods. It is kept with the task, told of as without effect, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects.kfp.refusing import uncovered
from penstock.dialects.kfp.tasks import PipelineTask


def set_timeout(task: PipelineTask, seconds: int) -> PipelineTask:
    """A limit of time for an attempt."""
    return task.set_platform("kubernetes", "activeDeadlineSeconds", seconds)


def _kept(name: str) -> Callable[..., PipelineTask]:
    """Something about pods that a machine does not have."""

    def said(task: PipelineTask, *args: Any, **kwargs: Any) -> PipelineTask:
        told = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
        return task.ignore(f"kubernetes.{name}({told})", "there are no pods")

    return said


def _refused(name: str, remedy: str) -> Callable[..., PipelineTask]:
    """Something that a component would miss."""

    def said(task: PipelineTask, *_: Any, **__: Any) -> PipelineTask:
        raise uncovered(f"kubernetes.{name}()", remedy)

    return said


_VOLUME = "Files go between tasks as artifacts; take volumes out of the file."
_SECRET = "Set the secret as a variable where penstock runs, and let the component write the file that it needs of it."
_VARIABLE = "Set the variable where penstock runs, or with task.set_env_variable(...)."

add_node_selector = _kept("add_node_selector")
add_node_selector_json = _kept("add_node_selector_json")
add_node_affinity = _kept("add_node_affinity")
add_node_affinity_json = _kept("add_node_affinity_json")
add_pod_annotation = _kept("add_pod_annotation")
add_pod_label = _kept("add_pod_label")
add_toleration = _kept("add_toleration")
add_toleration_json = _kept("add_toleration_json")
set_image_pull_policy = _kept("set_image_pull_policy")
set_image_pull_secrets = _kept("set_image_pull_secrets")
set_security_context = _kept("set_security_context")
empty_dir_mount = _refused("empty_dir_mount", _VOLUME)
add_ephemeral_volume = _refused("add_ephemeral_volume", _VOLUME)
mount_pvc = _refused("mount_pvc", _VOLUME)
use_config_map_as_volume = _refused("use_config_map_as_volume", _VOLUME)
use_secret_as_volume = _refused("use_secret_as_volume", _SECRET)
use_config_map_as_env = _refused("use_config_map_as_env", _VARIABLE)
use_field_path_as_env = _refused("use_field_path_as_env", _VARIABLE)
use_secret_as_env = _refused("use_secret_as_env", _VARIABLE)
