"""Permissions change in the open: in a golden file that lists them, and on a page that explains them."""

from __future__ import annotations

import re

import pytest
from cfn_templates import ROOT, Statement
from permissions import GOLDEN, every_statement, permissions

PAGE = ROOT / "docs" / "permissions.md"
COMMAND = "PYTHONPATH=.:tests/cfn python tests/cfn/permissions.py"


def test_the_golden_file_lists_every_permission() -> None:
    assert permissions() == GOLDEN.read_text(), f"review the change, then run {COMMAND}"


def rows() -> dict[str, list[str]]:
    """Return the cells of each row of the page's tables by its first one, the place of a statement."""
    lines = re.findall(r"^\| `([\w.-]+)` \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return {place: [cell.strip() for cell in rest.split("|")] for place, rest in lines}


def described() -> list[Statement]:
    """Return the statements that the page describes: the rendered template has a second form of the same."""
    return [statement for statement in every_statement() if statement.template != "tables-created"]


def test_the_page_describes_every_statement_and_no_other() -> None:
    assert sorted(rows()) == sorted(statement.where for statement in described())


@pytest.mark.parametrize("statement", described(), ids=lambda statement: statement.where)
def test_a_row_has_the_actions_and_says_who_needs_them(statement: Statement) -> None:
    actions, reason = rows()[statement.where]
    assert re.findall(r"`([^`]+)`", actions) == sorted(statement.actions)
    assert len(reason.split()) >= 4


def test_calls_of_aws_services_have_a_page_of_aws() -> None:
    """Nothing observes these calls in a test."""
    by_service = [s for s in described() if "Service" in str(s.body.get("Principal")) or "Alarm" in s.sid]
    assert by_service
    for statement in by_service:
        assert "https://docs.aws.amazon.com/" in rows()[statement.where][1], statement.where
