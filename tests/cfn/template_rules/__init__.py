"""Rules about the templates: what cfn-lint and checkov do not see.

A rule takes all templates and yields findings. Rules are closed: what they do not know is a finding, so that
an addition has to be reviewed here.
"""

from collections.abc import Callable, Iterator

from cfn_templates import World

from template_rules import (
    alarms,
    defaults,
    event_sources,
    functions,
    identity,
    interfaces,
    networks,
    pipe,
    resource_policies,
    retained,
    stores,
    texts,
    warehouse,
    watching,
    workbench,
)

Rule = Callable[[World], Iterator[str]]

RULES: tuple[Rule, ...] = (
    *identity.RULES,
    *resource_policies.RULES,
    *retained.RULES,
    *stores.RULES,
    *pipe.RULES,
    *event_sources.RULES,
    *functions.RULES,
    *alarms.RULES,
    *networks.RULES,
    *watching.RULES,
    *interfaces.RULES,
    *defaults.RULES,
    *texts.RULES,
    *warehouse.RULES,
    *workbench.RULES,
)


def findings(world: World) -> list[str]:
    """Return what all rules find."""
    return [finding for rule in RULES for finding in rule(world)]
