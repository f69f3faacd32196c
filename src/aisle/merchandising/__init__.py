"""What the shop itself says of queries: synonyms, stop words, pins, boosts, redirects, and proposals of such rules."""

from aisle.merchandising.checking import check_rules
from aisle.merchandising.compiled import NO_RULES, CompiledRules, Situation
from aisle.merchandising.rule_files import parse_rules, read_rules, write_rules

__all__ = ["NO_RULES", "CompiledRules", "Situation", "check_rules", "parse_rules", "read_rules", "write_rules"]
