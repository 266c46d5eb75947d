"""What mappers and timetables of partitions say, for cases on stdin: run by the real Airflow's Python, and imported by the test,
which asks penstock's the same."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

KEYS = (
    "2024-03-10T02:30:00",
    "2024-03-31T02:15:00",
    "2024-10-27T02:30:00",
    "2024-11-03T01:30:00",
    "2024-12-31T23:59:59",
    "2024-02-29T00:00:00",
    "2025-01-01T00:00:00",
    "2024-03-13",
    "2024-03",
    "us|2024-06-14T03:00:00",
    "us",
    "eu",
    "|",
)


def told(ask: Any) -> Any:
    try:
        return ask()
    except Exception as error:
        return ["error", next(each.__name__ for each in (ValueError, TypeError, Exception) if isinstance(error, each))]


def listed(found: Any) -> list[str]:
    return [found] if isinstance(found, str) else sorted(found)


def moment(found: Any) -> Any:
    return None if found is None else found.astimezone(UTC).isoformat()


def of_mapper(mapper: Any) -> Any:
    answers = []
    for key in KEYS:
        keys = told(lambda key=key: listed(mapper.to_downstream(key)))
        dates = (
            []
            if keys[:1] == ["error"]
            else [told(lambda key=each: moment(mapper.to_partition_date(key))) for each in keys]
        )
        needed = []
        if mapper.is_rollup and keys[:1] != ["error"]:
            needed = [told(lambda key=each: sorted(mapper.to_upstream(key))) for each in keys]
        answers.append([key, keys, dates, needed])
    return answers


def of_policy(policy: Any) -> Any:
    expected = {"a", "b", "c"}
    answers = []
    for matched in (set(), {"a"}, {"a", "b"}, {"a", "x", "y"}, {"a", "b", "c"}, {"a", "b", "c", "d"}):
        for wanted in (expected, set()):
            found = policy.is_satisfied_by_keys(matched=matched, expected=wanted)
            answers.append([found.satisfied, found.unreachable])
    return answers


def of_timetable(timetable: Any, coerced: Any) -> Any:
    answers = []
    for text in ("2024-03-10T07:00:00", "2024-03-31T01:00:00", "2024-10-27T00:00:00", "2024-11-04T05:00:00"):
        run_date = coerced(datetime.fromisoformat(text).replace(tzinfo=UTC))
        date, key = timetable._get_partition_info(run_date)
        answers.append([moment(date), key, told(lambda key=key: moment(timetable.resolve_partition_date(key)))])
    answers.append(told(lambda: moment(timetable.resolve_partition_date("no key"))))
    return answers


def answers_of(names: dict[str, Any], coerced: Any, cases: list[str]) -> Any:
    found = []
    for case in cases:
        made = told(lambda case=case: eval(case, names))
        if isinstance(made, list):
            found.append([case, made])
        elif hasattr(made, "to_downstream"):
            found.append([case, of_mapper(made)])
        elif hasattr(made, "is_satisfied_by_keys"):
            found.append([case, of_policy(made)])
        else:
            found.append([case, of_timetable(made, coerced)])
    return found


def main() -> None:
    from airflow._shared.timezones.timezone import coerce_datetime
    from airflow.partition_mappers import base, temporal, wait_policy, window
    from airflow.partition_mappers.allowed_key import AllowedKeyMapper
    from airflow.partition_mappers.chain import ChainMapper
    from airflow.partition_mappers.fixed_key import FixedKeyMapper
    from airflow.partition_mappers.identity import IdentityMapper
    from airflow.partition_mappers.product import ProductMapper
    from airflow.timetables.trigger import CronPartitionTimetable

    names = {
        **vars(base),
        **vars(temporal),
        **vars(wait_policy),
        **vars(window),
        **{
            each.__name__: each
            for each in (
                AllowedKeyMapper,
                ChainMapper,
                FixedKeyMapper,
                IdentityMapper,
                ProductMapper,
                CronPartitionTimetable,
            )
        },
    }
    print("ANSWER" + json.dumps(answers_of(names, coerce_datetime, json.load(sys.stdin))))


if __name__ == "__main__":
    main()
