"""The table of properties whose change replaces a resource is that of CloudFormation's schemas."""

from __future__ import annotations

import json

from create_only import table

from headwater.deployment.replacement import FILE


def test_the_table_has_every_type_of_the_templates_as_the_schemas_state_it() -> None:
    """`PYTHONPATH=.:tests/cfn python tests/cfn/create_only.py` adds the types of a new template."""
    assert json.loads(FILE.read_text()) == table()
