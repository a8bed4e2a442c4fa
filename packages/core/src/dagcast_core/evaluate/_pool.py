"""Independent tasks over processes, one result folder each, so that a killed run resumes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from dagcast_core.tensor import Panel

# A worker that dies is most often out of memory; a task that kills it three times is at fault.
_ATTEMPTS = 3


def map_panels(
    function: Callable[[Any], Panel],
    tasks: Mapping[str, Any],
    *,
    folder: Path | None = None,
    workers: int = 1,
    done: Callable[[str], None] | None = None,
) -> dict[str, Panel]:
    """Run ``function`` on every task and collect the panels.

    Args:
        function: makes a panel from one task; picklable where ``workers`` exceeds 1.
        tasks: by key, which names the result's folder.
        folder: where results are kept; a result found there is not computed again.
        workers: processes; 1 computes in this one. They are spawned, never forked: torch and
            DuckDB hold threads. They end with this one, however it ends, and at once where it is
            interrupted.
        done: called with the key of each finished task.

    Returns:
        Panels by key, in the order of ``tasks``.

    Raises:
        RuntimeError: a task killed its worker again and again; names it.
        ValueError: several workers without a folder for their results.
    """
    if workers > 1 and folder is None:
        raise ValueError("several workers hand over their results in files: give a folder.")
    results: dict[str, Panel] = {}
    left = []
    for key in tasks:
        if folder is not None and (folder / key).is_dir():
            results[key] = Panel.load(folder / key)
            _tell(done, key)
        else:
            left.append(key)
    if workers <= 1 or len(left) <= 1:
        for key in left:
            results[key] = _keep(function(tasks[key]), folder, key)
            _tell(done, key)
    else:
        assert folder is not None
        _spread(function, {key: tasks[key] for key in left}, folder, workers, done)
        results.update({key: Panel.load(folder / key) for key in left})
    return {key: results[key] for key in tasks}


def _spread(
    function: Callable[[Any], Panel],
    tasks: Mapping[str, Any],
    folder: Path,
    workers: int,
    done: Callable[[str], None] | None,
) -> None:
    left = dict(tasks)
    attempts = dict.fromkeys(left, 0)
    while left:
        # After a worker died, tasks run one at a time: then the one at fault is known.
        alone = any(attempts.values())
        context = multiprocessing.get_context("spawn")
        held, leash = context.Pipe(duplex=False)
        with (
            held,
            leash,
            ProcessPoolExecutor(
                1 if alone else workers,
                mp_context=context,
                initializer=_start_worker,
                initargs=(workers, held),
            ) as pool,
        ):
            try:
                futures: dict[Future[None], str] = {
                    pool.submit(_run, function, task, folder, key): key
                    for key, task in left.items()
                }
                for future in as_completed(futures):
                    future.result()
                    left.pop(futures[future])
                    _tell(done, futures[future])
            except BrokenProcessPool:
                suspects = [next(iter(left))] if alone else list(left)
                for key in suspects:
                    attempts[key] += 1
                    if attempts[key] >= _ATTEMPTS:
                        raise RuntimeError(
                            f"task {key!r} ended its worker process {_ATTEMPTS} times; results of "
                            f"the others are in {folder}. It may need more memory than there is."
                        ) from None
            except BaseException:
                # Leaving the pool waits for its workers, which may have minutes to go.
                leash.close()
                raise


def _start_worker(workers: int, held: Connection) -> None:
    """Leave each worker its share of the cores, and let it end with the process that started it.

    Threads that outnumber the cores wait for each other. The other end of ``held`` is open in the
    starting process alone, and the system closes it with that process however it ends.
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))

    def end_with_the_starter() -> None:
        with contextlib.suppress(EOFError, OSError):
            held.recv()
        os._exit(1)

    # Ctrl-C reaches the whole group of processes: the one that was started by hand decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_the_starter, daemon=True).start()


def _run(function: Callable[[Any], Panel], task: Any, folder: Path, key: str) -> None:
    _keep(function(task), folder, key)


def _keep(panel: Panel, folder: Path | None, key: str) -> Panel:
    if folder is None:
        return panel
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{key}.{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    panel.save(unfinished)
    unfinished.rename(folder / key)
    return panel


def _tell(done: Callable[[str], None] | None, key: str) -> None:
    if done is not None:
        done(key)
