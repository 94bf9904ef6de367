"""Processes of our own that work beside this one."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor


def process_pool(
    workers: int, prepare: Callable[..., None] | None = None, prepare_with: tuple[Any, ...] = ()
) -> "ProcessPoolExecutor":
    """Return a pool whose processes end with this one, however it ends.

    They are started anew rather than forked: frameworks and libraries have threads, which a fork would tear apart.

    Args:
        workers: How many processes.
        prepare: Called once in each of them; a function at the top of a module.
        prepare_with: Its arguments.
    """
    from concurrent.futures import ProcessPoolExecutor  # slow to import, and most pieces are composed by one process

    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, initializer=_begin, initargs=(prepare, prepare_with))


def _begin(prepare: Callable[..., None] | None, prepare_with: tuple[Any, ...]) -> None:
    # A worker waits for tasks at a pipe that it holds open itself: of a parent that was killed it would never hear.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*prepare_with)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
