"""The calls about the whole: who is there, in which version, and whether it is well."""

import hashlib
from typing import Any

from localpach.errors import OneProjectError
from localpach.serving.call import Call
from localpach.serving.refs import PROJECT
from localpach.serving.wire import Empty, Method, admin, version

_SERVING = b"\x08\x01"  # HealthCheckResponse with the status SERVING


class Answer:
    """A message whose class no package here has, as bytes."""

    def __init__(self, content: bytes = b"") -> None:
        self._content = content

    def __bytes__(self) -> bytes:
        return self._content

    @classmethod
    def FromString(cls, content: bytes) -> "Answer":  # noqa: N802  gRPC's word for it
        """Read a message."""
        return cls(content)


def inspect_cluster(call: Call, request: Any) -> Any:
    """Say which cluster this is; the ID is that of the state, wherever it was started from."""
    if request.current_project.name not in ("", PROJECT):
        raise OneProjectError(request.current_project.name)
    id_ = hashlib.blake2b(str(call.store.folder).encode(), digest_size=16).hexdigest()
    return admin.ClusterInfo(id=id_, deployment_id="localpach", warnings_ok=True)


def get_version(call: Call, _request: Any) -> Any:
    """Give the version of Pachyderm whose calls are answered here."""
    major, minor, micro = call.pretends
    return version.Version(major=major, minor=minor, micro=micro, additional="", go_version="", platform="localpach")


def check_health(_call: Call, _request: Any) -> Any:
    """Say that all is well."""
    return Answer(_SERVING)


SERVICES = {
    "admin_v2.API": {"InspectCluster": Method(inspect_cluster, admin.InspectClusterRequest)},
    "versionpb_v2.API": {"GetVersion": Method(get_version, Empty)},
    "grpc.health.v1.Health": {"Check": Method(check_health, Answer)},
}
