"""`headwater schedule hours`, prices, and everything that a calendar refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from deployments import COMPLETE, changed, planned, toml
from schedule_world import ENGLAND_2026

from headwater.cli import main
from headwater.deployment.templates import load_templates
from headwater.schedule.reading import MOST_HOLIDAYS, NAMES, WEEK, read_calendar

LONDON = ("--zone", "Europe/London", "--from", "07:00", "--to", "20:00")
SCHEDULE = {
    "Zone": "Europe/London",
    "From": "07:00",
    "To": "20:00",
    "WarehouseInstanceId": "warehouse",
    "Holidays": sorted(map(str, ENGLAND_2026)),
}
PRICES = 'currency = "USD"\n[prices]\nwarehouse-hour = 0.98\nworkbench-hour = 0\n'


def hours(*arguments: str) -> int:
    return main(["schedule", "hours", "--year", "2026", "--at", "2026-04-02T22:00:00+01:00", *arguments])


@pytest.fixture
def holidays(tmp_path: Path) -> str:
    file = tmp_path / "holidays.txt"
    file.write_text("# England\n\n" + "".join(f"{day}  # a holiday\n" for day in sorted(ENGLAND_2026)))
    return str(file)


def test_figures_of_london(holidays: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hours(*LONDON, "--holidays", holidays, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "year": 2026,
        "hours": 8760,
        "awake": 3289,
        "off": 5471,
        "off_percent": 62.5,
        "longest": 107,
        "begins": "2026-04-02T20:00+01:00",
        "ends": "2026-04-07T07:00+01:00",
        "at": "2026-04-02T22:00+01:00",
        "is_awake": False,
        "next": "2026-04-07T07:00+01:00 awake",
    }


def test_figures_as_a_person_reads_them(holidays: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hours(*LONDON, "--holidays", holidays) == 0
    assert capsys.readouterr().out.splitlines() == [
        "year:        2026",
        "awake:       3,289.0 h of 8,760.0 h",
        "off:         5,471.0 h, 62.5 %",
        "longest off: 107.0 h, from 2026-04-02T20:00+01:00 to 2026-04-07T07:00+01:00",
        "state:       asleep at 2026-04-02T22:00+01:00",
        "next:        2026-04-07T07:00+01:00 awake",
    ]


def test_money_from_prices(holidays: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(PRICES)
    assert hours(*LONDON, "--holidays", holidays, "--prices", str(file)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5:] == [
        "USD             an hour  always on  scheduled    saved",
        "--------------  -------  ---------  ---------  -------",
        "warehouse-hour     0.98    8584.80    3223.22  5361.58",
        "workbench-hour      0.0       0.00       0.00     0.00",
        "in all                     8584.80    3223.22  5361.58",
    ]


def test_money_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('currency = "GBP"\n[prices]\nwarehouse-hour = 1\n')
    assert hours(*LONDON, "--prices", str(file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["costs"] == [
        {
            "price": "warehouse-hour",
            "hourly": "1.0",
            "always": "8760.00",
            "scheduled": "3393.00",
            "saved": "5367.00",
        }
    ]


def test_values_of_the_deployment_which_options_replace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deployment.toml").write_text(toml(changed("reporting.schedule", SCHEDULE)))
    assert hours("--home", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["off_percent"] == 62.5
    assert hours("--file", str(tmp_path / "deployment.toml"), "--to", "19:00", "--json") == 0
    assert json.loads(capsys.readouterr().out)["off_percent"] == 65.3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--zone", "Europe/Londn"), 'did you mean "Europe/London"?'),
        (("--zone", "Mars/Olympus"), "a time zone of the IANA database"),
        (("--zone", "../etc/passwd"), "a time zone of the IANA database"),
        (("--from", "20:00"), '--to: found "20:00"; allowed: later than From, which is 20:00'),
        (("--from", "22:00", "--to", "06:00"), "on the same day"),
        (("--from", "7:00"), '--from: found "7:00"'),
        (("--from", "24:00"), "later than From"),
        (("--to", "24:01"), '--to: found "24:01"'),
        (("--to", "20:60"), "hours and minutes"),
        (("--zone", "localtime"), "a time zone of the IANA database"),
        (("--days", "Mon,Tues"), 'did you mean "Tue"?'),
        (("--days", "Mon,Mon"), "each once"),
        (("--days", ""), "one or more of Mon"),
    ],
)
def test_bad_hours_are_refused(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hours(*LONDON, *arguments) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-30", 'found "2026-02-30"; allowed: dates, such as 2026-12-25'),
        ("25.12.2026", "dates, such as"),
        ("0001-01-01", "from 1980 to 2100"),
        ("9999-12-31", "from 1980 to 2100"),
        ("20261225", "dates, such as"),
        ("2026-12-25\n2026-12-25", "each date once; it is there 2 times"),
    ],
)
def test_bad_holidays_are_refused(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "holidays.txt").write_text(text)
    assert hours(*LONDON, "--holidays", str(tmp_path / "holidays.txt")) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("warehouse-hour = -0.5", "warehouse-hour: found -0.5; allowed: a price of 0 to 1,000,000,000"),
        ("warehouse-hour = nan", "warehouse-hour: found"),
        ("warehouse-hour = inf", "warehouse-hour: found"),
        ("warehouse-hour = 1e308", "warehouse-hour: found 1e+308"),
        (f"warehouse-hour = 1{'0' * 400}", "warehouse-hour: found 1"),
        ("warehouse-hour = true", "warehouse-hour: found true"),
        ('warehouse-hour = "1"', "warehouse-hour: found"),
        ("warehouse = 1", "unknown property"),
        ("s3-gb-month = 1", '"warehouse-hour or workbench-hour" is missing'),
        ("not toml", "not TOML"),
    ],
)
def test_bad_prices_are_refused(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prices.toml").write_text(f'currency = "GBP"\n[prices]\n{text}\n')
    assert hours(*LONDON, "--prices", str(tmp_path / "prices.toml")) == 2
    assert expected in capsys.readouterr().err


def test_files_that_are_missing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing")
    for option in ("--holidays", "--prices", "--file"):
        assert hours(*LONDON, option, missing) == 2
        assert missing in capsys.readouterr().err


def test_values_that_are_missing_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hours("--zone", "Europe/London", "--home", str(tmp_path)) == 2
    assert "--from, --to: missing" in capsys.readouterr().err


@pytest.mark.parametrize("year", ["1979", "2101", "99999", "2026.5", "", "next"])
def test_a_year_that_is_none_is_refused(year: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        hours(*LONDON, "--year", year)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00Z", "2026-01-01T00:00:00"])
def test_a_moment_outside_of_these_years_is_refused(at: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        hours(*LONDON, "--at", at)


# The deployment


def problems(schedule: object, retention: int | None = None) -> list[str]:
    values = changed("reporting.schedule", schedule)
    values["parameters"] = {**COMPLETE["parameters"], "SchedulerKey": "a-0123456789ab.zip"}
    if retention:
        values["reporting"]["stream"] = {"RetentionHours": retention}
    return planned(values)[2]


def test_a_deployment_with_a_schedule() -> None:
    assert problems(SCHEDULE) == []


def test_holidays_may_be_dates_of_toml() -> None:
    assert problems(SCHEDULE | {"Holidays": sorted(ENGLAND_2026)}) == []


# With a Monday more, the longest night has 24 hours more.
LONGER = {**SCHEDULE, "To": "20:00", "Holidays": [*SCHEDULE["Holidays"], "2026-04-07"]}


def test_a_retention_one_hour_too_short_is_refused() -> None:
    assert problems(LONGER | {"From": "07:00", "To": "19:00"}, 168) == [
        "reporting, stream, RetentionHours: found 168; allowed: at least 180: the longest night of the "
        "schedule has 132 hours, 2026-04-02T19:00+01:00 to 2026-04-08T07:00+01:00, and 48 more are to notice "
        "a consumer that does not read"
    ]
    three_days = {**SCHEDULE, "WorkingDays": ["Mon", "Tue", "Wed", "Thu"], "Holidays": ["2026-04-06"]}
    assert problems(three_days | {"From": "07:00", "To": "23:00"}, 168) == []  # 104 + 48
    exactly = {
        **SCHEDULE,
        "From": "00:00",
        "To": "24:00",
        "Holidays": ["2026-04-03", "2026-04-06", "2026-04-07"],
    }
    assert problems(exactly, 168) == []  # 120 + 48
    one_more = exactly | {"To": "23:00"}
    (found,) = problems(one_more, 168)
    assert found.startswith("reporting, stream, RetentionHours: found 168; allowed: at least 169")


def test_the_default_retention_is_judged_as_well() -> None:
    (found,) = problems(LONGER)
    assert "found 168; allowed: at least 179" in found


def test_a_night_of_another_year_of_the_holidays_is_judged() -> None:
    week = [f"2040-12-{day}" for day in range(24, 32)]
    (found,) = problems({**SCHEDULE, "Holidays": week})
    assert "2040-12-21" in found or "2040-12-23" in found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Zone", "Europe/Londn", 'reporting, schedule, Zone: found "Europe/Londn"; allowed: did you mean'),
        ("To", "07:00", "reporting, schedule, To: found"),
        ("From", "25:00", "reporting, schedule, From: found"),
        ("WorkingDays", ["Monday"], "reporting, schedule, WorkingDays: found"),
        ("Holidays", ["2026-12-25", "2026-12-25"], "each date once"),
        ("Holidays", ["2026-02-29"], "dates, such as"),
        ("Holidays", [f"{year}-01-01" for year in range(1900, 2110)], f"at most {MOST_HOLIDAYS}"),
        ("HostArns", ["i-0123456789abcdef0"], "ARNs of EC2 instances"),
        ("Hosts", "x", "unknown parameter"),
    ],
)
def test_a_bad_schedule_is_refused(name: str, value: object, expected: str) -> None:
    found = problems(SCHEDULE | {name: value})
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("windows", "schedule", "expected"),
    [
        ({}, {}, []),
        ({"BackupWindow": "02:00-02:30"}, {}, ["BackupWindow"]),
        ({"BackupWindow": "19:00-19:30"}, {}, ["BackupWindow"]),  # 20:00 in summer
        ({"BackupWindow": "23:45-00:15"}, {"From": "00:00", "To": "24:00", "Zone": "UTC"}, []),
        ({"MaintenanceWindow": "sun:10:00-sun:10:30"}, {}, ["MaintenanceWindow"]),
        ({"MaintenanceWindow": "sun:10:00-sun:10:30"}, {"WorkingDays": ["Fri", "Sat", "Sun"]}, []),
        ({}, {"Zone": "Asia/Tokyo"}, ["BackupWindow", "MaintenanceWindow"]),
    ],
)
def test_a_window_in_which_the_warehouse_is_off_is_refused(
    windows: dict[str, str], schedule: dict[str, object], expected: list[str]
) -> None:
    values = changed("reporting.schedule", SCHEDULE | schedule)
    values["parameters"] = {**COMPLETE["parameters"], "SchedulerKey": "a-0123456789ab.zip"}
    values["reporting"] |= {"warehouse": windows, "network": {}}
    found = [text for text in planned(values)[2] if "Window" in text]
    assert [text.split(": found")[0].rpartition(", ")[2] for text in found] == expected
    assert all("allowed: a time in UTC at which the schedule keeps the database on" in text for text in found)


def test_a_schedule_without_its_hours_is_missing_them() -> None:
    found = problems({"Zone": "Europe/London", "WarehouseInstanceId": "warehouse"})
    assert [problem.partition(": missing")[0] for problem in found] == [
        "reporting, schedule, From",
        "reporting, schedule, To",
    ]


def test_the_template_has_the_parts_and_defaults_of_a_calendar() -> None:
    parameters = load_templates()["schedule"].parameters
    assert {*NAMES} <= parameters.keys()
    assert parameters["WorkingDays"].default == WEEK
    for text in ("00:00", "07:00", "23:59", "24:00", "24:01", "7:00", "12:60"):
        texts = {"Zone": "UTC", "From": "00:00", "To": text, "WorkingDays": WEEK}
        taken = read_calendar(texts, dict.fromkeys(NAMES, ""))[0] is not None
        assert (parameters["To"].allowed(text) is None) == (taken or text == "00:00")
