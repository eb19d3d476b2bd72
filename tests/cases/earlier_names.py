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
    drift:sightings kept_facts letter_summary letters:letter_ledgers rejects:rejected_rows
    log_size
headwater.commands -> headwater
    parsing
producers.csv -> producers.csv
    progress:resume places:uploads
producers -> producers
    drift:drift_reporter environment:wiring
headwater -> headwater
    replaying:replay_ports
headwater.commands.schemas -> headwater.commands.schemas
    places:arguments
headwater -> schemas
    settings stored:s3_objects
producers -> schemas
    deadline
producers -> schemas.letters
    letters:s3_letters
"""
"""Former and present package, then the modules that moved, each as `name` or `former:present`."""

RENAMED = """
consumers.kinesis: StreamRecord=KinesisRecord
consumers.reporting.definition.derive: Way=Route Derivation.ways=Derivation.routes
consumers.reporting.refresh.freshness: Standing=ReportRevision
consumers.reporting.refresh.refresher: Refresher.standings=Refresher.revisions
consumers.warehouse.mssql.warehouse: MssqlWarehouse.lacks=MssqlWarehouse.problems
consumers.warehouse.sqlite.warehouse: SqliteWarehouse.lacks=SqliteWarehouse.problems
consumers.warehouse.urls: shown=printable_url named=backend_name
headwater.embedded.state: State=StateFolder
producers.csv.uploads: Row=CsvRow
producers.drift_reporter: Watch=DriftReporter DriftReporter.see=DriftReporter.observe
producers.kinesis: Shard=OpenShard
replay.fold: Wanted=EventFilter
replay.log.acknowledged: Found=KnownDamage
replay.run: Outcome=RunResult
schemas.letters.letter: PREFIX=LETTER_PREFIX
schemas.letters.outcomes: Outcome=LetterOutcome Standing=LetterStatus Refusals=RefusedLetters
schemas.letters.redriving: Choice=LetterFilter listed=list_letters discard=discard_letters
schemas.log.inflate: inflated=inflate
schemas.payload.codec: Registry=SchemaRegistry
"""
"""Names within a module: `former=present`, of the module or of a class in it."""

MOVED_NAMES = """
schemas.sources.csv -> schemas.catalog.entity: CsvSource Mode
schemas.sources.dynamodb -> schemas.catalog.entity: DynamoDbSource KeyAttribute key_attributes
headwater.sources.csv.provision -> headwater.local.provision: find_queue
headwater.sources.dropping -> headwater.sources.csv.dropping: feed_of
"""
"""Names that left the module after the arrow."""


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


def rename_within_modules() -> None:
    """Give names that changed their former names as well."""
    for line in RENAMED.strip().splitlines():
        name, _, pairs = line.partition(": ")
        module = importlib.import_module(name)
        for former, present in (pair.split("=") for pair in pairs.split()):
            owner = getattr(module, former.partition(".")[0]) if "." in former else module
            setattr(owner, former.rpartition(".")[2], vars(owner)[present.rpartition(".")[2]])
    for line in MOVED_NAMES.strip().splitlines():
        modules, _, names = line.partition(": ")
        source, target = (importlib.import_module(name) for name in modules.split(" -> "))
        for name in names.split():
            setattr(target, name, getattr(source, name))


def provide(script: str) -> None:
    """Make the former names in the text of a script importable.

    A package that has such a name today gets the names of the module.
    """
    rename_within_modules()
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
