"""The names of the context, of templates, variables, connections, hooks, sensors, schedules and params."""

from __future__ import annotations

from collections.abc import Mapping

_ASSETS: Mapping[str, str] = dict.fromkeys(
    ("Asset", "AssetAlias", "AssetAll", "AssetAny", "Dataset", "Metadata", "Model", "BaseAsset", "AssetRef"), "assets"
)
_WATCHED = {"AssetWatcher": "watching"}
_EVENT_TRIGGERS = {"BaseEventTrigger": "watching"}
_DATASETS = {
    "Dataset": "assets",
    "DatasetAlias": "assets:AssetAlias",
    "DatasetAll": "assets:AssetAll",
    "DatasetAny": "assets:AssetAny",
}
_TIMETABLES: Mapping[str, str] = dict.fromkeys(
    (
        "CronDataIntervalTimetable",
        "CronTriggerTimetable",
        "DeltaDataIntervalTimetable",
        "DeltaTriggerTimetable",
        "EventsTimetable",
        "MultipleCronTriggerTimetable",
        "AssetOrTimeSchedule",
    ),
    "timetables",
)
_RETRYING: Mapping[str, str] = dict.fromkeys(
    ("ExceptionRetryPolicy", "RetryAction", "RetryDecision", "RetryPolicy", "RetryRule"), "retrying"
)
_PARAMS = {"Param": "params", "ParamsDict": "params", "DagParam": "params"}
_CONTEXT = {
    "Context": "context",
    "get_current_context": "context",
    "context_merge": "context",
    "get_parsing_context": "context",
}
_VARIABLE = {"Variable": "variables"}
_CONNECTION = {"Connection": "connections"}
_HOOK = {"BaseHook": "hooks"}
_STORAGE: Mapping[str, str] = {"ObjectStoragePath": "storage"}
_TIMEZONE = {
    **dict.fromkeys(
        (
            "coerce_datetime",
            "convert_to_utc",
            "is_localized",
            "is_naive",
            "local_timezone",
            "make_aware",
            "make_naive",
            "parse",
            "parse_timezone",
            "td_format",
            "utc",
            "utc_epoch",
            "utcnow",
        ),
        "moments",
    ),
    "datetime": "moments:datetime_in_utc",
    "TIMEZONE": "moments:utc",
}
_NOTIFIER = {"BaseNotifier": "callbacks"}
_CONF = {"conf": "configuration", "AIRFLOW_HOME": "configuration", "get_airflow_home": "configuration"}
_STATS = {"Stats": "stats"}
_S3 = {"S3Hook": "hooks.s3", "unify_bucket_name_and_key": "hooks.s3"}
_HTTP = {"HttpHook": "hooks.http"}
_FS = {"FSHook": "hooks.filesystem"}
_PYTHON = {"PythonSensor": "sensors.python"}
_BASH = {"BashSensor": "sensors.bash"}
_FILE = {"FileSensor": "sensors.filesystem"}
_EXTERNAL = {
    "ExternalTaskMarker": "operators.empty",
    "ExternalTaskSensor": "sensors.external_task",
    "ExternalTaskSensorLink": "baseoperator:BaseOperatorLink",
}
_TIME = {"TimeSensor": "sensors.times", "TimeSensorAsync": "sensors.times:TimeSensor"}
_DELTA = {"TimeDeltaSensor": "sensors.times", "TimeDeltaSensorAsync": "sensors.times:TimeDeltaSensor"}
_DATETIME = {"DateTimeSensor": "sensors.times", "DateTimeSensorAsync": "sensors.times:DateTimeSensor"}
_WEEKDAY = {"DayOfWeekSensor": "sensors.times"}
_S3_SENSOR = {"S3KeySensor": "sensors.s3"}
_HTTP_SENSOR = {"HttpSensor": "sensors.http"}
_BASE_SENSOR = {"BaseSensorOperator": "basesensor"}
_KINDS = {"DagRunType": "states"}
_BAG = {"DagBag": "dagbag"}

#: Airflow's module -> name -> where it is here (`module:name`, from `penstock.dialects.airflow.` on)
CONTEXT: dict[str, Mapping[str, str]] = {
    "airflow": {"Dataset": "assets", "__version__": "configuration:VERSION"},
    "airflow.version": {"version": "configuration:VERSION"},
    "airflow.io.path": _STORAGE,
    "airflow.sdk.io": _STORAGE,
    "airflow.sdk.io.path": _STORAGE,
    "airflow.sdk": {
        **_STORAGE,
        **_ASSETS,
        **_WATCHED,
        **_TIMETABLES,
        **_RETRYING,
        **_PARAMS,
        **_CONTEXT,
        **_VARIABLE,
        **_CONNECTION,
        **_HOOK,
        **_NOTIFIER,
        **_KINDS,
        "asset": "assets",
        "conf": "configuration",
        "literal": "templates",
        "NEVER_EXPIRE": "remembered",
        "timezone": "moments:timezone_module",
    },
    "airflow.sdk.definitions.asset": {**_ASSETS, **_WATCHED, "Metadata": "assets"},
    "airflow.triggers.base": _EVENT_TRIGGERS,
    "airflow.providers.standard.triggers.file": dict.fromkeys(
        ("DirectoryFileDeleteTrigger", "FileDeleteTrigger"), "watching"
    ),
    "airflow.sdk.definitions.asset.metadata": {"Metadata": "assets"},
    "airflow.sdk.definitions.asset.decorators": {"asset": "assets"},
    "airflow.sdk.definitions.param": _PARAMS,
    "airflow.sdk.definitions.retry_policy": _RETRYING,
    "airflow.sdk.definitions.context": _CONTEXT,
    "airflow.sdk.definitions.variable": _VARIABLE,
    "airflow.sdk.definitions.connection": _CONNECTION,
    "airflow.sdk.definitions.template": {"literal": "templates"},
    "airflow.sdk.timezone": _TIMEZONE,
    "airflow.sdk.bases.hook": _HOOK,
    "airflow.sdk.bases.notifier": _NOTIFIER,
    "airflow.sdk.configuration": _CONF,
    "airflow.sdk.types": {"DagRunType": "states"},
    "airflow.sdk.execution_time.context": {
        "context_to_airflow_vars": "context",
        "NEVER_EXPIRE": "remembered",
    },
    "airflow.sdk.execution_time.macros": dict.fromkeys(
        ("ds_add", "ds_format", "ds_format_locale", "datetime_diff_for_humans"), "macros"
    ),
    "airflow.assets": _ASSETS,
    "airflow.assets.metadata": {"Metadata": "assets"},
    "airflow.datasets": _DATASETS,
    "airflow.datasets.metadata": {"Metadata": "assets"},
    "airflow.models": {
        **_VARIABLE,
        **_CONNECTION,
        **_BAG,
        "Param": "params",
        "TaskInstance": "taskinstance",
        "DagRun": "taskinstance",
    },
    "airflow.models.param": _PARAMS,
    "airflow.models.variable": _VARIABLE,
    "airflow.models.connection": _CONNECTION,
    "airflow.models.dagbag": _BAG,
    "airflow.dag_processing.dagbag": _BAG,
    "airflow.models.dagparam": {"DagParam": "params"},
    "airflow.models.dagrun": {"DagRun": "taskinstance"},
    "airflow.models.taskinstance": {"TaskInstance": "taskinstance"},
    "airflow.models.xcom": {"XCOM_RETURN_KEY": "taskinstance:RETURN_VALUE"},
    "airflow.hooks.base": _HOOK,
    "airflow.hooks.base_hook": _HOOK,
    "airflow.hooks.filesystem": _FS,
    "airflow.hooks.S3_hook": _S3,
    "airflow.hooks.http_hook": _HTTP,
    "airflow.macros": dict.fromkeys(
        (
            "dateutil",
            "datetime",
            "datetime_diff_for_humans",
            "ds_add",
            "ds_format",
            "ds_format_locale",
            "json",
            "random",
            "time",
            "timedelta",
            "uuid",
        ),
        "macros",
    ),
    "airflow.operators.python": {"get_current_context": "context"},
    "airflow.configuration": _CONF,
    "airflow.stats": _STATS,
    "airflow.notifications.basenotifier": _NOTIFIER,
    "airflow.timetables.datasets": {"DatasetOrTimeSchedule": "timetables:AssetOrTimeSchedule"},
    "airflow.utils.context": _CONTEXT,
    "airflow.utils.dates": {
        "cron_presets": "timetables:PRESETS",
        "date_range": "moments",
        "days_ago": "moments",
    },
    "airflow.utils.dag_parsing_context": {"get_parsing_context": "context"},
    "airflow.utils.email": {"send_email": "mail", "get_email_address_list": "mail"},
    "airflow.utils.operator_helpers": {"context_to_airflow_vars": "context", "determine_kwargs": "context"},
    "airflow.utils.template": {"literal": "templates"},
    "airflow.utils.timezone": _TIMEZONE,
    "airflow.utils": {"timezone": "moments:timezone_module"},
    "airflow.utils.types": _KINDS,
    "airflow.utils.log.logging_mixin": {"LoggingMixin": "logs"},
    "airflow.utils.log.secrets_masker": {"mask_secret": "logs", "redact": "logs"},
    "airflow.utils.session": {"provide_session": "logs", "NEW_SESSION": "logs", "create_session": "logs"},
    "airflow.utils.weekday": {"WeekDay": "states"},
    "airflow.utils.file": {"TemporaryDirectory": "logs"},
    "airflow.sensors.python": _PYTHON,
    "airflow.sensors.bash": _BASH,
    "airflow.sensors.filesystem": _FILE,
    "airflow.sensors.external_task": _EXTERNAL,
    "airflow.sensors.external_task_sensor": _EXTERNAL,
    "airflow.sensors.time_sensor": _TIME,
    "airflow.sensors.time_delta": _DELTA,
    "airflow.sensors.time_delta_sensor": _DELTA,
    "airflow.sensors.date_time": _DATETIME,
    "airflow.sensors.date_time_sensor": _DATETIME,
    "airflow.sensors.weekday": _WEEKDAY,
    "airflow.sensors.s3_key_sensor": _S3_SENSOR,
    "airflow.sensors.http_sensor": _HTTP_SENSOR,
    "airflow.providers.standard.sensors.python": _PYTHON,
    "airflow.providers.standard.sensors.bash": _BASH,
    "airflow.providers.standard.sensors.filesystem": _FILE,
    "airflow.providers.standard.sensors.external_task": _EXTERNAL,
    "airflow.providers.standard.sensors.time": _TIME,
    "airflow.providers.standard.sensors.time_delta": _DELTA,
    "airflow.providers.standard.sensors.date_time": _DATETIME,
    "airflow.providers.standard.sensors.weekday": _WEEKDAY,
    "airflow.providers.standard.hooks.filesystem": _FS,
    "airflow.providers.standard.operators.python": {"get_current_context": "context"},
    "airflow.providers.standard.utils.weekday": {"WeekDay": "states"},
    "airflow.providers.standard.exceptions": dict.fromkeys(
        (
            "ExternalDagFailedError",
            "ExternalDagNotFoundError",
            "ExternalTaskFailedError",
            "ExternalTaskGroupFailedError",
            "ExternalTaskGroupNotFoundError",
            "ExternalTaskNotFoundError",
            "HITLRejectException",
            "HITLTimeoutError",
            "HITLTriggerEventError",
        ),
        "exceptions",
    ),
    # of 1.10 and before
    "airflow.hooks": {"BaseHook": "hooks", **_S3, **_HTTP},
    "airflow.operators.sensors": {**_EXTERNAL, **_TIME, **_DELTA, **_S3_SENSOR, **_HTTP_SENSOR, **_BASE_SENSOR},
    "airflow.sensors": {**_EXTERNAL, **_TIME, **_DELTA, **_S3_SENSOR, **_HTTP_SENSOR, **_BASE_SENSOR},
    "airflow.contrib.hooks.fs_hook": _FS,
    "airflow.contrib.sensors.bash_sensor": _BASH,
    "airflow.contrib.sensors.file_sensor": _FILE,
    "airflow.contrib.sensors.python_sensor": _PYTHON,
    "airflow.contrib.sensors.weekday_sensor": _WEEKDAY,
    "airflow.contrib.utils.weekday": {"WeekDay": "states"},
    "airflow.providers.amazon.aws.hooks.s3": _S3,
    "airflow.providers.amazon.aws.sensors.s3": _S3_SENSOR,
    "airflow.providers.http.hooks.http": _HTTP,
    "airflow.providers.http.sensors.http": _HTTP_SENSOR,
}
