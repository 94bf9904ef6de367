"""Jobs of a cluster, their datums and logs."""

import grpc
from pachyderm_sdk.api import pps

from ambient.deployment.pachd.connection import Connection
from ambient.deployment.pachd.messages import job_of, pipeline_of, to_job
from ambient.deployment.state import Datum, Job


class Jobs:
    """The jobs of a cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pps = connection.client.pps

    def newest(self, pipeline: str) -> Job | None:
        """Return the newest job of a pipeline, if it has one."""

        def newest() -> Job | None:
            infos = self._pps.list_job(pipeline=pipeline_of(pipeline), number=1)
            return next((to_job(info) for info in infos), None)

        return self._connection.attempt(f"looking for jobs of {pipeline}", newest)

    def in_set(self, job_set_id: str) -> list[Job]:
        """Return all jobs of a set as they are now, upstream first."""
        return self._connection.attempt(
            f"looking at job set {job_set_id}",
            lambda: [to_job(i) for i in self._pps.inspect_job_set(job_set=pps.JobSet(id=job_set_id), wait=False)],
        )

    def datums(self, job: Job, state: str, most: int) -> list[Datum]:
        """Return some datums of a job that ended in a state (`FAILED`, `RECOVERED`)."""
        wanted = pps.ListDatumRequestFilter(state=[pps.DatumState.from_string(state)])

        def found() -> list[Datum]:
            infos = self._pps.list_datum(job=job_of(job), filter=wanted)
            chosen = [
                info for info, _ in zip((i for i in infos if i.state == wanted.state[0]), range(most), strict=False)
            ]
            return [Datum(i.datum.id, tuple(each.file.path for each in i.data)) for i in chosen]

        return self._connection.attempt(f"listing datums of {job.pipeline}", found)

    def log(self, job: Job, datum_id: str, lines: int) -> list[str]:
        """Return the last lines that a datum's program wrote; empty where the cluster keeps no logs."""
        datum = pps.Datum(job=job_of(job), id=datum_id)
        try:
            messages = [m.message.rstrip() for m in self._pps.get_logs(datum=datum, tail=lines) if m.user]
        except (grpc.RpcError, ConnectionError):
            return []  # logs need Loki, which not every cluster has
        return messages[-lines:]
