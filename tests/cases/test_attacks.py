"""Scripts that once broke Headwater, each with what it must print now. They lie beside the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from headwater_up import ROOT

ATTACKS = ROOT.parent / "shared" / "cases" / "attacks"

# A script's folder goes in front of sys.path, and one of the scripts is called types.py: what the interpreter
# needs is imported before.
_RUN = (
    "import json, re, runpy, sys, typing; from pathlib import Path; "
    "sys.path.insert(0, sys.argv[3]); import earlier_names; sys.path.pop(0); "
    "script = f'{sys.argv[1]}/{sys.argv[2]}.py'; "
    "earlier_names.provide(Path(script).read_text()); sys.path.insert(0, sys.argv[1]); "
    "runpy.run_path(script, run_name='__main__')"
)

OF_OTHER_ISSUES = {
    "ddb_existing": "the field case existing-items, by pollers without the backfill of `up`",
}

NEED_A_SERVER = {"connect_cut", "report_connection_cut"}

EXPECTED = {
    "as_of_tables": r"replay ->.*'revisions .*'discard ",
    "connect_cut": r"\A(\d (fine|schemas\.errors \w+Error.*|consumers\.\S+ TransactionLostError.*)\n){9}\Z",
    "dates_sqlite": r"\A((?!T-SQL says).)*\Z",
    "effective_added": r"ConfigurationError: .*order of files changed",
    "exponential": r"LEFT x 9:",
    "failing_report": r"after \+60 failed refreshes: pending tables 0, triggers 0, report tables 0",
    "foreign_record": r"thing rebuild -> LogIntegrityError .*bytes \d+-\d+.*other compare -> LogI",
    "large_update": r"table has the new state",
    "refused_rows": r"200 refused: .* 1 puts of letters.*dead=200",
    "report_connection_cut": r"TransactionLostError",
    "resync": r"1000 KB of markers .*, 1 ranges",
    "rowid_column": r"\[\('Bath', 1\), \('Leeds', 1\), \('York', 2\)\].*\nverify \[\]",
    "small": r"ConfigurationError: --warehouse with a password",
    "status_cost": r"400 reject files and 400 letter objects: .*; letters 400, rejects \d+",
    "stuck_file": r"good0.*good1.*good2",
    "throttled_files": r"10 files of 40 MB: ideal 200 s; 10 finished after (19|2[0-5])\d s.* took 39\d MB",
    "twin_reports": r"verify a \[\] verify b \[\]",
    "types": r"refused.*refused",
    "unknown_sweep": r"(sweep -> Counts\(applied=0, superseded=0, duplicate=0, dead=1\)\n){2}",
    "url_leak": r"\A(?!.*(leaks: True|w0rd-of-mine@))",
    "widen": r"(rebuild with old code: ConfigurationError.*){2}",
}
"""What the output holds, as a regular expression in which a dot is a line's end, too."""


def scripts() -> list[str]:
    return sorted(file.stem for file in ATTACKS.glob("*.py") if file.stem != "common")


@pytest.mark.skipif(not ATTACKS.is_dir(), reason="../shared/cases/attacks is not beside this checkout")
def test_every_script_has_an_expectation() -> None:
    assert set(scripts()) == {*EXPECTED, *OF_OTHER_ISSUES}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXPECTED)
def test_an_attack_is_withstood(name: str) -> None:
    if not (ATTACKS / f"{name}.py").is_file():
        pytest.skip("../shared/cases/attacks is not beside this checkout")
    if name in NEED_A_SERVER and not os.environ.get("HEADWATER_CASE_MSSQL"):
        pytest.skip("HEADWATER_CASE_MSSQL names no T-SQL warehouse")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(ATTACKS), name, str(Path(__file__).parent)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert re.search(EXPECTED[name], done.stdout + done.stderr, re.DOTALL), done
