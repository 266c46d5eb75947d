"""What Kubeflow is told of itself and of its clusters."""

from __future__ import annotations

from typing import Any

#: the version of Kubeflow's library whose files are read
__version__ = "2.17.0"
TYPE_CHECK = True


class PipelineConfig:
    """See `kfp.dsl.PipelineConfig`: about a cluster, without effect here."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Workspaces and the like belong to a cluster."""


class WorkspaceConfig(PipelineConfig):
    """See `kfp.dsl.WorkspaceConfig`."""


class KubernetesWorkspaceConfig(PipelineConfig):
    """See `kfp.dsl.KubernetesWorkspaceConfig`."""
