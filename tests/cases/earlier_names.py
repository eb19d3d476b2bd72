"""Modules under the names that they had when the scripts in ../shared/cases were written."""

import importlib
import re
import sys

MOVED = """
schemas -> schemas.payload
    values fields conversions avro avsc codec fingerprint
schemas -> schemas.evolution
    evolution rules formats
schemas -> schemas.log
    frames window resync inflate kpl crc log_registry:registry
schemas -> schemas.catalog
    entity source_settings loader gate published described files drift
schemas -> schemas.letters
    dead_letter:letter letter_outcomes:outcomes
headwater -> schemas.letters
    redriving
schemas -> headwater.scaffold
    candidate_keys first_row likely_private private_names proposal text_sample
headwater -> headwater.scaffold
    csv_dialect csv_sample table_sample
consumers.reporting.definition -> headwater.scaffold
    proposal:report_proposal
consumers.warehouse -> consumers.warehouse.mssql
    mssql:warehouse mssql_ddl:ddl mssql_errors:errors mssql_history:history mssql_indexes:indexes
    mssql_load:load mssql_rows:rows mssql_setup:setup mssql_sql:sql mssql_transaction:transaction
    mssql_values:values
consumers.warehouse -> consumers.warehouse.sqlite
    sqlite:warehouse sqlite_ddl:ddl sqlite_errors:errors sqlite_history:history sqlite_rows:rows
    sqlite_sql:sql sqlite_transaction:transaction sqlite_values:values
consumers.reporting -> consumers.reporting.mssql
    mssql_dialect:dialect mssql_engine:engine
consumers.reporting -> consumers.reporting.sqlite
    sqlite_comparisons:comparisons sqlite_conversions:conversions sqlite_decimals:decimals
    sqlite_dialect:dialect sqlite_engine:engine sqlite_expressions:expressions sqlite_filters:filters
    sqlite_functions:functions sqlite_reads:reads sqlite_text_kinds:text_kinds sqlite_texts:texts
    to_sqlite:translation
consumers.reporting -> consumers.reporting.refresh
    changes compare:verification refresh:transaction refresher statements push_down unit_walk lookups
    dialect registry:freshness session
replay -> replay.log
    log:reader read_ahead acknowledged log_schemas in_memory place:proof
headwater -> headwater.embedded
    embedded:aws embedded_content:content embedded_journal:journal embedded_moto:moto
    embedded_server:server state
headwater -> headwater.local
    local:assembly draining provision demo sample
headwater -> headwater.polling
    runtime stream_poller report_poller lambda_events places:shard_places progress:runtime_report
headwater -> headwater.sources.csv
    queue_poller:poller csv_process:process dropping
headwater -> headwater.sources.dynamodb
    dynamodb_poller:poller
headwater -> headwater.views
    drift:sightings kept_facts letter_summary letters:letter_ledgers rejects:rejected_rows stored
    log_size
headwater.commands -> headwater
    parsing
producers.csv -> producers.csv
    progress:resume places:uploads
producers -> producers
    drift:drift_reporter letters:letter_store environment:wiring
headwater -> headwater
    replaying:replay_ports
headwater.commands.schemas -> headwater.commands.schemas
    places:arguments
headwater -> schemas
    settings
"""
"""Former and present package, then the modules that moved, each as `name` or `former:present`."""

RENAMED = {
    "schemas.payload.codec": {"Registry": "SchemaRegistry"},
    "producers.kinesis": {"Shard": "OpenShard"},
}
"""Names within a module: former to present."""


def present_names() -> dict[str, str]:
    """Full former name of each module to its full name now."""
    names: dict[str, str] = {}
    for line in MOVED.strip().splitlines():
        if "->" in line:
            old, _, new = line.split()
            continue
        for name in line.split():
            former, _, present = name.partition(":")
            names[f"{old}.{former}"] = f"{new}.{present or former}"
    return names


def provide(script: str) -> None:
    """Make the former names in the text of a script importable.

    A package that has such a name today gets the names of the module.
    """
    for name, renamed in RENAMED.items():
        module = importlib.import_module(name)
        vars(module).update({former: vars(module)[present] for former, present in renamed.items()})
    for former, present in present_names().items():
        parent, _, name = former.rpartition(".")
        if not re.search(rf"\b{former}\b|from {parent} import .*\b{name}\b", script):
            continue
        module = importlib.import_module(present)
        try:
            package = importlib.import_module(former)
        except ModuleNotFoundError:
            sys.modules[former] = module
            setattr(importlib.import_module(parent), name, module)
        else:
            vars(package).update({k: v for k, v in vars(module).items() if not k.startswith("__")})
