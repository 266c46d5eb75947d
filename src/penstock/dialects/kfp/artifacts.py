"""The classes of artifacts, as the functions of components see them.

This module needs nothing but Python: its source goes into containers, where penstock is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

#: how addresses in object stores appear in the file system
_MOUNTS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/", "oci://": "/oci/"}


class Artifact:
    """A file or a folder, with metadata. `path` is where it is, or is to be written."""

    schema_title: ClassVar[str] = "system.Artifact"
    schema_version: ClassVar[str] = "0.0.1"

    def __init__(self, name: str | None = None, uri: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        self.name = name or ""
        self.uri = uri or ""
        self.metadata: dict[str, Any] = {} if metadata is None else metadata
        #: instead of the path that follows from the address
        self.custom_path = ""

    @property
    def path(self) -> str:
        if self.custom_path:
            return self.custom_path
        for scheme, mount in _MOUNTS.items():
            if self.uri.startswith(scheme):
                return mount + self.uri[len(scheme) :]
        return self.uri.removeprefix("file://")

    @path.setter
    def path(self, path: str) -> None:
        for scheme, mount in _MOUNTS.items():
            if str(path).startswith(mount):
                path = scheme + str(path)[len(mount) :]
        self.uri = str(path)

    def set_path(self, path: str) -> None:
        self.custom_path = path

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, uri={self.uri!r}, metadata={self.metadata!r})"


class Dataset(Artifact):
    """Data."""

    schema_title = "system.Dataset"


class Model(Artifact):
    """A model."""

    schema_title = "system.Model"

    @property
    def framework(self) -> str:
        return self.metadata.get("framework", "")

    @framework.setter
    def framework(self, framework: str) -> None:
        self.metadata["framework"] = framework


class Metrics(Artifact):
    """Numbers by name."""

    schema_title = "system.Metrics"

    def log_metric(self, metric: str, value: float) -> None:
        self.metadata[metric] = value


class ClassificationMetrics(Artifact):
    """A ROC curve and a confusion matrix."""

    schema_title = "system.ClassificationMetrics"

    def log_roc_data_point(self, fpr: float, tpr: float, threshold: float) -> None:
        point = {"confidenceThreshold": threshold, "recall": tpr, "falsePositiveRate": fpr}
        self.metadata.setdefault("confidenceMetrics", []).append(point)

    def log_roc_curve(self, fpr: list[float], tpr: list[float], threshold: list[float]) -> None:
        if not len(fpr) == len(tpr) == len(threshold):
            raise ValueError(
                f"fpr, tpr and threshold have to be equally long, and have {len(fpr)}, {len(tpr)} and {len(threshold)}"
            )
        for false, true, confidence in zip(fpr, tpr, threshold, strict=True):
            self.log_roc_data_point(false, true, confidence)

    # the names of the first version
    log_roc_reading = log_roc_data_point

    def load_roc_readings(self, readings: list[list[float]]) -> None:
        for threshold, true, false in readings:
            self.log_roc_data_point(false, true, threshold)

    def set_confusion_matrix_categories(self, categories: list[str]) -> None:
        self.metadata["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": category} for category in categories],
            "rows": [{"row": [0] * len(categories)} for _ in categories],
        }

    def _category(self, name: str) -> int:
        known = [each["displayName"] for each in self.metadata["confusionMatrix"]["annotationSpecs"]]
        if name not in known:
            raise ValueError(f"there is no category {name!r}; there are {', '.join(known)}")
        return known.index(name)

    def log_confusion_matrix_row(self, row_category: str, row: Sequence[float]) -> None:
        place, rows = self._category(row_category), self.metadata["confusionMatrix"]["rows"]
        if len(row) != len(rows):
            raise ValueError(f"a row has {len(rows)} values, and this one has {len(row)}")
        rows[place] = {"row": row}

    def log_confusion_matrix_cell(self, row_category: str, col_category: str, value: int) -> None:
        rows = self.metadata["confusionMatrix"]["rows"]
        rows[self._category(row_category)]["row"][self._category(col_category)] = value

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        if len(matrix) != len(categories) or any(len(row) != len(categories) for row in matrix):
            raise ValueError(f"the matrix has to have {len(categories)} rows of {len(categories)} values")
        self.set_confusion_matrix_categories(categories)
        for category, row in zip(categories, matrix, strict=True):
            self.log_confusion_matrix_row(category, row)


class SlicedClassificationMetrics(Artifact):
    """The same for slices of the data."""

    schema_title = "system.SlicedClassificationMetrics"

    def __init__(self, name: str | None = None, uri: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(name, uri, metadata)
        self._slices: dict[str, ClassificationMetrics] = {}

    def _slice(self, name: str) -> ClassificationMetrics:
        found = self._slices.setdefault(name, ClassificationMetrics())
        self.metadata["evaluationSlices"] = [
            {"slice": each, "sliceClassificationMetrics": metrics.metadata} for each, metrics in self._slices.items()
        ]
        return found

    def log_roc_reading(self, slice: str, threshold: float, tpr: float, fpr: float) -> None:
        self._slice(slice).log_roc_data_point(fpr, tpr, threshold)

    def load_roc_readings(self, slice: str, readings: list[list[float]]) -> None:
        self._slice(slice).load_roc_readings(readings)

    def set_confusion_matrix_categories(self, slice: str, categories: list[str]) -> None:
        self._slice(slice).set_confusion_matrix_categories(categories)

    def log_confusion_matrix_row(self, slice: str, row_category: str, row: Sequence[float]) -> None:
        self._slice(slice).log_confusion_matrix_row(row_category, row)

    def log_confusion_matrix_cell(self, slice: str, row_category: str, col_category: str, value: int) -> None:
        self._slice(slice).log_confusion_matrix_cell(row_category, col_category, value)

    def load_confusion_matrix(self, slice: str, categories: list[str], matrix: list[list[int]]) -> None:
        self._slice(slice).log_confusion_matrix(categories, matrix)


class HTML(Artifact):
    """A page."""

    schema_title = "system.HTML"


class Markdown(Artifact):
    """A text in Markdown."""

    schema_title = "system.Markdown"


#: title -> class
SYSTEM: dict[str, type[Artifact]] = {
    each.schema_title: each
    for each in (
        Artifact,
        Dataset,
        Model,
        Metrics,
        ClassificationMetrics,
        SlicedClassificationMetrics,
        HTML,
        Markdown,
    )
}


class PipelineTaskFinalStatus:
    """How the tasks that an exit handler follows ended."""

    def __init__(
        self,
        state: str,
        pipeline_job_resource_name: str = "",
        pipeline_task_name: str = "",
        error_code: int | None = None,
        error_message: str | None = None,
    ) -> None:
        #: `SUCCEEDED`, `FAILED` or `CANCELLED`
        self.state = state
        self.pipeline_job_resource_name = pipeline_job_resource_name
        self.pipeline_task_name = pipeline_task_name
        self.error_code = error_code
        self.error_message = error_message

    def __repr__(self) -> str:
        return f"PipelineTaskFinalStatus(state={self.state!r}, error_message={self.error_message!r})"
