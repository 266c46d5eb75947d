"""Small functions that a written file has where it needs them."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.dialects.code.formatting import Imports

_SELECTS = '''
def selects(choice: Any, name: Any) -> bool:
    """Whether a choice, which is a name or several, takes in a name."""
    return name in choice if isinstance(choice, (list, tuple, set, frozenset)) else choice == name
'''
_ENDED = '''
def ended(task_id: str, *states: str) -> bool:
    """Whether a task of this run has ended in one of some states."""
    context = get_current_context()
    own, run = context["ti"], context["dag_run"]
    if hasattr(own, "get_task_states"):
        found = own.get_task_states(dag_id=own.dag_id, task_ids=[task_id], run_ids=[run.run_id])[run.run_id]
        return found.get(task_id) in states
    instances = [each for each in run.get_task_instances() if each.task_id == task_id]
    return bool(instances) and all(each.state in states for each in instances)
'''
_STATE = '''
def state_of(future: Any) -> str:
    """How a task ended: succeeded, failed, or skipped where it was not called."""
    if future is None:
        return "skipped"
    if not hasattr(future, "wait"):
        futures = future.values() if isinstance(future, dict) else future
        states = [state_of(each) for each in futures] if isinstance(future, (list, dict)) else []
        return "failed" if "failed" in states else "succeeded"
    future.wait()
    if isinstance(future, list):
        return "failed" if any(state_of(each) == "failed" for each in future) else "succeeded"
    return "succeeded" if future.state.is_completed() else "failed"
'''
_RESULT = '''
def result_of(future: Any) -> Any:
    """What a task returned; None for one that failed, or was not called."""
    if state_of(future) != "succeeded":
        return None
    if hasattr(future, "result"):
        return future.result()
    if isinstance(future, dict):
        return {key: result_of(each) for key, each in future.items()}
    return [result_of(each) for each in future] if isinstance(future, list) else future
'''
_POLLED = '''
def polled(
    function: Callable[..., Any], poll: float, factor: float = 1.0, longest: float = 300.0, timeout: float | None = None
) -> Callable[..., Any]:
    """A function that is asked again and again until it returns something true."""

    @functools.wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        pause, end = poll, None if timeout is None else time.monotonic() + timeout
        while not (found := function(*args, **kwargs)):
            if end is not None and time.monotonic() + pause > end:
                raise TimeoutError(f"{function.__name__} returned nothing true in {timeout} s")
            time.sleep(pause)
            pause = min(pause * factor, longest)
        return found

    return asked
'''
#: what the built-in waits of penstock ask, in plain Python
BUILT_IN = {
    "moment_after": '''
def moment_after(seconds: float) -> float:
    """The moment that comes so long after now, in seconds since the epoch."""
    return time.time() + (seconds.total_seconds() if hasattr(seconds, "total_seconds") else seconds)
''',
    "time_reached": '''
def time_reached(when: Any) -> bool:
    """Whether a moment has come: a datetime, its ISO 8601 text, or seconds since the epoch."""
    moment = datetime.fromisoformat(when) if isinstance(when, str) else when
    return time.time() >= (moment.timestamp() if hasattr(moment, "timestamp") else moment)
''',
    "file_there": '''
def file_there(path: str) -> str | None:
    """The path of a file or folder, once there is one."""
    return str(path) if Path(path).exists() else None
''',
    "url_answers": '''
def url_answers(url: str, status: Any = None) -> int | None:
    """The status that a URL answers with, once it is one of those that are wanted (None: any below 400)."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = answer.status
    except urllib.error.HTTPError as error:
        found = error.code
    except OSError:
        return None
    wanted = [status] if isinstance(status, int) else status
    return found if (found < 400 if wanted is None else found in wanted) else None
''',
}
_NEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "ended": (),
    "selects": (("typing", "Any"),),
    "state_of": (("typing", "Any"),),
    "result_of": (("typing", "Any"),),
    "polled": (("typing", "Any"), ("collections.abc", "Callable"), ("functools", ""), ("time", "")),
    "moment_after": (("time", ""),),
    "time_reached": (("time", ""), ("datetime", "datetime"), ("typing", "Any")),
    "file_there": (("pathlib", "Path"),),
    "url_answers": (("urllib.request", ""), ("urllib.error", ""), ("typing", "Any")),
}
_TEXTS = {"selects": _SELECTS, "ended": _ENDED, "state_of": _STATE, "result_of": _RESULT, "polled": _POLLED, **BUILT_IN}


def helper_texts(names: Iterable[str], imports: Imports) -> list[str]:
    """The functions, with what they need imported."""
    found: list[str] = []
    wanted = set(names)
    for name, text in _TEXTS.items():
        if name in wanted:
            for module, own in _NEEDS[name]:
                imports.name(module, own) if own else imports.module(module)
            found.append(text.strip("\n"))
    return found


__all__ = ["BUILT_IN", "helper_texts"]
