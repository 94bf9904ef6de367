"""Do work in other processes, ahead of its use and in order, so that many cores feed one accelerator."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from ambient.processes import process_pool

Task = TypeVar("Task")
Result = TypeVar("Result")
_AHEAD = 3  # tasks a worker


def in_order(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    workers: int,
    prepare: Callable[..., None] | None = None,
    prepare_with: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """Yield the results of tasks, which may be without end; closing the iterator ends the workers.

    Args:
        work: A function at the top of a module.
        tasks: Its arguments.
        workers: Processes; 1 does the work here, when it is asked for.
        prepare: Called once in each process.
        prepare_with: Its arguments.
    """
    if workers <= 1:
        if prepare is not None:
            prepare(*prepare_with)
        yield from map(work, tasks)
        return
    pool = process_pool(workers, prepare, prepare_with)
    due: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            due.append(pool.submit(work, task))
            if len(due) >= workers * _AHEAD:
                yield due.popleft().result()
        while due:
            yield due.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
