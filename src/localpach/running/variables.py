"""Which variables does a program find? Those that Pachyderm sets; the variables of the spec come before them."""

from collections.abc import Mapping

from localpach.planning.datums import Datum

DATUM_ID = "PACH_DATUM_ID"


def job_variables(pipeline: str, job_id: str, spec_commit: str) -> dict[str, str]:
    """Return the variables that are the same for all datums of a job."""
    return {
        "PACH_JOB_ID": job_id,
        "PACH_OUTPUT_COMMIT_ID": job_id,
        "PACH_IN_WORKER": "true",
        "PPS_PIPELINE_NAME": pipeline,
        "PPS_PROJECT_NAME": "default",
        "PPS_SPEC_COMMIT": spec_commit,
    }


def input_variables(datum: Datum, root: str, commits: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that name the files of a datum.

    Args:
        datum: The datum.
        root: The folder that the program finds as `/pfs`.
        commits: IDs of commits by input, where they are not those of the datum's listing.
    """
    found: dict[str, str] = {}
    for each in datum.inputs:
        name = each.source.name
        found[name] = f"{root}/{name}" + ("" if each.path == "/" else each.path.rstrip("/"))
        found[f"{name}_COMMIT"] = each.listing.commit if commits is None else commits[name]
        if each.join_key:
            found[f"PACH_DATUM_{name}_JOIN_ON"] = each.join_key
        if each.group_key:
            found[f"PACH_DATUM_{name}_GROUP_BY"] = each.group_key
    return found
