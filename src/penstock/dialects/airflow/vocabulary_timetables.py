"""The names of timetables, of plugins, and of what comes with them."""

from __future__ import annotations

from collections.abc import Mapping

_NOUNS: Mapping[str, str] = dict.fromkeys(("DagRunInfo", "DataInterval", "TimeRestriction", "Timetable"), "timetable")
_CRON = {"CronMixin": "clocks"}
_DELTA = {"DeltaMixin": "clocks"}
_TRIGGER: Mapping[str, str] = {
    **dict.fromkeys(("CronTriggerTimetable", "DeltaTriggerTimetable", "MultipleCronTriggerTimetable"), "timetables"),
    "_TriggerTimetable": "timetables:TriggerTimetable",
}
_INTERVAL: Mapping[str, str] = {
    **dict.fromkeys(("CronDataIntervalTimetable", "DeltaDataIntervalTimetable"), "timetables"),
    "_DataIntervalTimetable": "timetables:DataIntervalTimetable",
}
_SIMPLE: Mapping[str, str] = {
    **dict.fromkeys(("NullTimetable", "OnceTimetable", "ContinuousTimetable", "AssetTriggeredTimetable"), "timetables"),
    "DatasetTriggeredTimetable": "timetables:AssetTriggeredTimetable",
    "_TrivialTimetable": "timetables:Trivial",
}
_EVENTS = {"EventsTimetable": "timetables"}
_ASSETS: Mapping[str, str] = dict.fromkeys(("AssetOrTimeSchedule", "AssetTriggeredTimetable"), "timetables")
_ZONES: Mapping[str, str] = dict.fromkeys(
    ("encode_timezone", "encode_relativedelta", "encode_interval"), "serialization"
)
_UNZONES: Mapping[str, str] = dict.fromkeys(
    ("decode_timezone", "decode_relativedelta", "decode_interval"), "serialization"
)

#: Airflow's module -> name -> where it is here (`module:name`, from `penstock.dialects.airflow.` on)
TIMETABLES: Mapping[str, Mapping[str, str]] = {
    "airflow.timetables.base": _NOUNS,
    "airflow.timetables._cron": _CRON,
    "airflow.timetables._delta": _DELTA,
    "airflow.timetables.trigger": _TRIGGER,
    "airflow.timetables.interval": _INTERVAL,
    "airflow.timetables.simple": _SIMPLE,
    "airflow.timetables.events": _EVENTS,
    "airflow.timetables.assets": _ASSETS,
    "airflow.sdk.bases.timetable": {"BaseTimetable": "timetable:Timetable"},
    "airflow.sdk.definitions.timetables._cron": _CRON,
    "airflow.sdk.definitions.timetables._delta": _DELTA,
    "airflow.sdk.definitions.timetables.trigger": _TRIGGER,
    "airflow.sdk.definitions.timetables.interval": _INTERVAL,
    "airflow.sdk.definitions.timetables.simple": _SIMPLE,
    "airflow.sdk.definitions.timetables.events": _EVENTS,
    "airflow.sdk.definitions.timetables.assets": _ASSETS,
    "airflow.serialization.encoders": _ZONES,
    "airflow.serialization.decoders": _UNZONES,
    "airflow.serialization.serialized_objects": {**_ZONES, **_UNZONES},
    "airflow.exceptions": {"AirflowTimetableInvalid": "exceptions"},
    "airflow.sdk.exceptions": {"AirflowTimetableInvalid": "exceptions"},
    "airflow.plugins_manager": {"AirflowPlugin": "plugins"},
    "airflow.sdk.plugins_manager": {"AirflowPlugin": "plugins"},
    "airflow.task.priority_strategy": {"PriorityWeightStrategy": "weights"},
}

__all__ = ["TIMETABLES"]
