"""Mistakes in defaults, and in the limits of thresholds."""

from typing import Any

from mutations import DELETED, Mutation, put


def _default(name: str, parameter: str, value: Any) -> Mutation:
    template, _, key = parameter.partition("/")
    return put(name, f"{template}/Parameters/{key}/Default", value)


def _most(name: str, parameter: str, value: int) -> Mutation:
    template, _, key = parameter.partition("/")
    return put(name, f"{template}/Parameters/{key}/MaxValue", value)


DEFAULTS: tuple[Mutation, ...] = (
    # Hours that a firm did not choose
    _default("UTC where the file says nothing", "schedule/Zone", "UTC"),
    _default("Mondays alone", "schedule/WorkingDays", "Mon"),
    _default("a week without a week-end", "schedule/WorkingDays", "Mon,Tue,Wed,Thu,Fri,Sat,Sun"),
    _default("working days that the file has to state", "schedule/WorkingDays", DELETED),
    _default("a beginning of everybody's day", "schedule/From", "00:00"),
    _default("an end of everybody's day", "schedule/To", "24:00"),
    _default("some database", "schedule/WarehouseInstanceId", "warehouse"),
    _default("a backup while the warehouse sleeps", "warehouse/BackupWindow", "02:00-02:30"),
    _default("maintenance on Sunday", "warehouse/MaintenanceWindow", "sun:03:00-sun:03:30"),
    # Thresholds that are never reached, or only after the damage
    _default("more connections than the warehouse bears", "monitoring/MostConnections", 30_000),
    _default("late after a day", "monitoring/LagSeconds", 86_400),
    _default("changes late after ten hours", "alarms/LateSeconds", 36_000),
    _default("a delivery late after a day", "stream/DeliverySeconds", 86_400),
    _default("a backlog of any size", "monitoring/BacklogRows", 100_000_000),
    _default("a working day without alarms", "monitoring/CatchUpSeconds", 28_800),
    _default("almost no storage left", "monitoring/FreeGibibytes", 5),
    _default("almost no memory left", "monitoring/FreeableMebibytes", 64),
    _most("connections without a limit", "monitoring/MostConnections", 1_000_000),
    _most("a backlog without a limit", "monitoring/BacklogRows", 10**12),
    _most("a delivery later than the retention", "stream/DeliverySeconds", 10**7),
    _most("storage that no instance has", "monitoring/FreeGibibytes", 10**7),
    _most("memory that no instance has", "monitoring/FreeableMebibytes", 10**7),
    # What is kept for less time than was reviewed
    _default("three days of the stream", "stream/RetentionHours", 72),
    _default("a lock of a day", "stream/LockDays", 1),
    _default("former versions for a month", "stream/NoncurrentDays", 30),
    _default("dead letters for a month", "source/DeadLetterDays", 30),
    _default("a week of backups", "warehouse/BackupDays", 7),
    # Who may do something
    _default("some firm's addresses", "workbench/FirmCidrs", "203.0.113.0/24"),
    _default("some account of producers", "stream/SourceAccounts", "123456789012"),
    _default("some group at the replicas", "replicas/ProducerGroupId", "sg-12345678"),
    _default("some account that peers", "replicas/ReportingAccount", "123456789012"),
    _default("values of events in the log", "consumers/LogLevel", "DEBUG"),
)
