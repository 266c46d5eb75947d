"""What stands for the names in Kubeflow's modules."""

from __future__ import annotations

from collections.abc import Mapping

_HOME = "penstock.dialects.kfp"

#: module of this package -> the names of `kfp.dsl` that it has
_DSL = {
    "annotations": ("Input", "InputPath", "Output", "OutputPath"),
    "artifacts": (
        "Artifact",
        "ClassificationMetrics",
        "Dataset",
        "HTML",
        "Markdown",
        "Metrics",
        "Model",
        "PipelineTaskFinalStatus",
        "SlicedClassificationMetrics",
    ),
    "calls": ("get_uri",),
    "components": ("component", "container_component", "importer", "pipeline"),
    "placeholders": (
        "ConcatPlaceholder",
        "ContainerSpec",
        "EXECUTION_ID_PLACEHOLDER",
        "IfPresentPlaceholder",
        "PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER",
        "PIPELINE_JOB_ID_PLACEHOLDER",
        "PIPELINE_JOB_NAME_PLACEHOLDER",
        "PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER",
        "PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER",
        "PIPELINE_ROOT_PLACEHOLDER",
        "PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER",
        "PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER",
        "PIPELINE_TASK_ID_PLACEHOLDER",
        "PIPELINE_TASK_NAME_PLACEHOLDER",
        "RUN_ID_PLACEHOLDER",
    ),
    "refusing": ("notebook_component", "run_notebook"),
    "tasks": ("PipelineTask",),
    "tracing": ("Collected", "Condition", "Elif", "Else", "ExitHandler", "If", "OneOf", "ParallelFor", "TasksGroup"),
    "legacy": (
        "ContainerOp",
        "InputArgumentPath",
        "PipelineConf",
        "PipelineExecutionMode",
        "ResourceOp",
        "VOLUME_MODE_ROM",
        "VOLUME_MODE_RWM",
        "VOLUME_MODE_RWO",
        "VolumeOp",
        "get_pipeline_conf",
        "graph_component",
        "python_component",
    ),
    "configuration": ("KubernetesWorkspaceConfig", "PipelineConfig", "WorkspaceConfig"),
}
_COMPONENTS = {
    "annotations": ("InputPath", "OutputPath"),
    "components": (
        "BaseComponent",
        "ContainerComponent",
        "GraphComponent",
        "PythonComponent",
        "YamlComponent",
        "create_component_from_func",
        "func_to_container_op",
    ),
    "loading": (
        "ComponentStore",
        "load_component",
        "load_component_from_file",
        "load_component_from_text",
        "load_component_from_url",
    ),
}
_OLD_TYPES = ("Bool", "Dict", "Float", "GCPProjectID", "GCPRegion", "GCRPath", "GCSPath", "Integer", "List", "LocalPath",
              "String", "URI")  # fmt: skip
_KUBERNETES = (
    "add_ephemeral_volume",
    "add_node_affinity",
    "add_node_affinity_json",
    "add_node_selector",
    "add_node_selector_json",
    "add_pod_annotation",
    "add_pod_label",
    "add_toleration",
    "add_toleration_json",
    "empty_dir_mount",
    "mount_pvc",
    "set_image_pull_policy",
    "set_image_pull_secrets",
    "set_security_context",
    "set_timeout",
    "use_config_map_as_env",
    "use_config_map_as_volume",
    "use_field_path_as_env",
    "use_secret_as_env",
    "use_secret_as_volume",
)


def _homes(names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {name: f"{_HOME}.{module}:{name}" for module, listed in names.items() for name in listed}


def vocabulary() -> Mapping[str, Mapping[str, str]]:
    """Module of Kubeflow -> name in it -> what stands for it."""
    dsl, components = _homes(_DSL), _homes(_COMPONENTS)
    compiler = _homes({"compiling": ("Compiler",)})
    client = _homes({"client": ("Client", "RunPipelineResult")})
    artifacts = _homes({"artifacts": _DSL["artifacts"]})
    kubernetes = _homes({"kubernetes": _KUBERNETES, "refusing": ("CreatePVC", "DeletePVC")})
    whole = _homes({"client": ("Client",), "configuration": ("TYPE_CHECK", "__version__")})
    # as the first files of the second version import the first
    former = {"kfp.deprecated": whole, "kfp.deprecated.dsl": dsl, "kfp.deprecated.compiler": compiler}
    status = _homes({"artifacts": ("PipelineTaskFinalStatus",)})
    platforms = {
        "kfp.gcp": ("use_gcp_secret", "use_preemptible_nodepool", "use_tpu", "add_gpu_toleration"),
        "kfp.onprem": ("mount_pvc", "use_k8s_secret"),
        "kfp.aws": ("use_aws_secret",),
        "kfp.azure": ("use_azure_secret",),
    }
    return {
        **former,
        **{name: _homes({"platforms": names}) for name, names in platforms.items()},
        "kfp.dsl.types": _homes({"legacy": _OLD_TYPES}),
        "kubernetes.client": {},
        "kubernetes.client.models": {},
        "kfp.deprecated.components": components | status,
        "kfp": whole,
        "kfp.dsl": dsl,
        "kfp.dsl.types.artifact_types": artifacts,
        "kfp.dsl.types.type_annotations": _homes({"annotations": _DSL["annotations"]}),
        "kfp.dsl.base_component": {"BaseComponent": components["BaseComponent"]},
        "kfp.dsl.python_component": {"PythonComponent": components["PythonComponent"]},
        "kfp.dsl.graph_component": {"GraphComponent": components["GraphComponent"]},
        "kfp.dsl.pipeline_task": {"PipelineTask": dsl["PipelineTask"]},
        "kfp.dsl.pipeline_channel": _homes({"channels": ("PipelineChannel", "PipelineParameterChannel")}),
        "kfp.components": components,
        "kfp.compiler": compiler,
        "kfp.compiler.compiler": compiler,
        "kfp.client": client,
        "kfp.local": _homes({"local": ("DockerRunner", "SubprocessRunner", "init")}),
        "kfp.kubernetes": kubernetes,
        "kfp.v2": {},
        "kfp.v2.dsl": {**dsl, "component": f"{_HOME}.components:former_component"},
        "kfp.v2.compiler": compiler,
        "kfp.v2.components": components,
    }
