"""dlt's mssql destination, by the Python that has it: dicts in, rows in SQL Server; its own defaults.

Its `merge` extracts the dicts to files, normalizes them to files of INSERT statements (literals, up to 1,000
rows each), runs these into a staging table, then DELETEs what the staging table has and INSERTs it. All of
it runs on Babelfish as it is sent; dlt is but told which error there means "no such table". Its other loader,
ADBC, wants a driver that its maker's own site alone has: it was not tried.
"""

import json
import os
import tempfile
import time
from urllib.parse import quote

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.impl.mssql.sql_client import PyOdbcMsSqlClient
from dlt.destinations.insert_job_client import InsertValuesLoadJob
from rows import ROWS, THERE, rows

DRIVER = quote("ODBC Driver 18 for SQL Server")


def main() -> None:
    babelfish = bool(os.environ.get("HEADWATER_BENCH_BABELFISH"))
    if babelfish:
        name_errors()
    address = os.environ["HEADWATER_BENCH_DATABASE"].partition("://")[2]
    security = "Encrypt=no" if babelfish else "TrustServerCertificate=yes"
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "peer",
            pipelines_dir=folder,
            dataset_name="peer",
            destination=dlt.destinations.mssql(f"mssql://{address}?driver={DRIVER}&{security}"),
        )
        upsert(pipeline, THERE, 1)
        moments = watched_staging()
        whole = upsert(pipeline, ROWS, 2)
        (load,) = (step for step in pipeline.last_trace.steps if step.step == "load")
    seconds = (load.finished_at - load.started_at).total_seconds()
    staging = max(moments) - min(moments)
    print(json.dumps({"whole": whole, "load": seconds, "staging": staging, "table": "peer.subscription"}))


def upsert(pipeline: dlt.Pipeline, count: int, version: int) -> float:
    """Seconds."""
    given = list(rows(count, version))
    begun = time.perf_counter()
    pipeline.run(
        dlt.resource(given, name="subscription", write_disposition="merge", primary_key="subscription_id")
    )
    return time.perf_counter() - begun


def watched_staging() -> list[float]:
    """When each file that is loaded from now on begins and ends; files may be loaded at once."""
    moments: list[float] = []
    load = InsertValuesLoadJob.run

    def watched(self: InsertValuesLoadJob) -> None:
        moments.append(time.perf_counter())
        load(self)
        moments.append(time.perf_counter())

    InsertValuesLoadJob.run = watched
    return moments


def name_errors() -> None:
    """Babelfish has one number for many errors, where SQL Server has 208 for a table that is not there."""
    named = PyOdbcMsSqlClient._make_database_exception

    def renamed(error: Exception) -> Exception:
        if "(33557097)" in str(error) and "does not exist" in str(error):
            return DatabaseUndefinedRelation(error)
        return named(error)

    PyOdbcMsSqlClient._make_database_exception = staticmethod(renamed)


if __name__ == "__main__":
    main()
