"""Commands for query rules: list, add, remove, import, export, try, publish, history, rollback, and proposals."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from aisle.cli.screen import JsonOption, ShopArgument, SizeOption, opened, out, print_json, print_line, rows, tell
from aisle.errors import UnavailableError
from aisle.flows.rule_mining import MiningConfig
from aisle.merchandising import read_rules, write_rules
from aisle.merchandising.rule_files import COLUMNS, format_of, row_of, rule_of_cells
from aisle.wire import RuleFinding, Rules, TriedList

rules = typer.Typer(
    no_args_is_help=True,
    help="""Rules for search: synonyms, stop words, pinned, boosted, buried and hidden items, redirects.

    Rules are edited in a draft, which nobody sees. `try` shows what it would change, `publish` lets it count, as a
    numbered version, in every process that serves the shop; `rollback` goes back.

    A rule has an id, a condition (--equals the whole query, --contains words of it, or none), and an action:

      synonyms "sofa|couch"              each also finds the others

      one_way "tv => television"         finds the others, which do not find it

      stop_words "cheap|best"            are not searched for

      replace "television"               is searched for instead

      pin "k1@1|k7@3"                    item k1 in place 1, k7 in place 3

      boost "brand:Maple" --factor 2     utility times 2; bury divides; item:, brand:, category:, attribute:name=value

      hide "item:k9"                     is not shown

      redirect "/sale"                   an address to lead to

      filter "brand:Maple|max_price_minor:3000"   limits, where the question sets none

    Example: aisle rules add myshop tea-week pin "green-tea@1" --contains tea
    """,
)
ByOption = Annotated[str | None, typer.Option("--by", help="Who does this, as it is noted; default: your user name.")]
NoteOption = Annotated[str, typer.Option("--note", help="A word on why.")]
_SHOWN = 20
_DRAFT = "draft"


def _me(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # nobody of that number has a name here
        return ""


@rules.command("list")
def list_(
    shop: ShopArgument,
    version: Annotated[
        int | None, typer.Option("--version", help="Rules of a published version; default: the draft.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Rules of the draft, and what is wrong with them.

    Example: aisle rules list myshop
    """
    with opened(shop) as open_shop:
        if version is not None:
            named = open_shop.rules.read(version)
            findings, title = (), f"version {version}"
        else:
            draft = open_shop.rules.draft()
            named, findings = list(draft.rules), draft.findings
            title = (
                f"draft ({'published' if draft.is_published else 'not published'}; version {draft.published} counts)"
            )
        if json:
            print_json(
                {
                    "rules": [rule.model_dump(mode="json", exclude_defaults=True) for rule in named],
                    "findings": [finding.model_dump() for finding in findings],
                }
            )
            return
        lines = []
        for rule in named:
            cells = row_of(rule)
            when = " ".join(f"{name}={cells[name]}" for name in COLUMNS[4:-1] if cells.get(name))
            what = cells["value"] + (f" x {cells['factor']}" if cells.get("factor") else "")
            lines.append(tuple(map(escape, (rule.id, cells["action"], what, when, rule.note))))
        out.print(rows(("id", "action", "what", "when", "note"), lines, title) if lines else f"{title}: no rules")
    _show_findings(findings)


@rules.command("add")
def add(
    shop: ShopArgument,
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="A name of your choice.", show_default=False)],
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="synonyms, pin, ...: see aisle rules --help.", show_default=False)
    ],
    value: Annotated[str, typer.Argument(metavar="VALUE", help='Such as "sofa|couch".', show_default=False)],
    equals: Annotated[str | None, typer.Option("--equals", help="Only for this query.")] = None,
    contains: Annotated[str | None, typer.Option("--contains", help="Only for queries with these words.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="Only where narrowed to this category.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only where narrowed to this kind of item.")] = None,
    language: Annotated[str | None, typer.Option("--language", help="Only for askers of this language.")] = None,
    placement: Annotated[list[str] | None, typer.Option("--placement", help="Default: search; may repeat.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this day or moment on, UTC: 2026-05-01.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until just before this day or moment.")] = None,
    factor: Annotated[str | None, typer.Option("--factor", help="Of boost and bury; more than 1.")] = None,
    note: NoteOption = "",
    by: ByOption = None,
) -> None:
    """Put one rule into the draft; one of the same id is replaced.

    Example: aisle rules add myshop sofa synonyms "sofa|couch|settee"
    """
    cells = {
        "id": rule_id,
        "action": action,
        "value": value,
        "equals": equals,
        "contains": contains,
        "category": category,
        "item_kind": kind,
        "language": language,
        "placements": "|".join(placement or ()),
        "from": since,
        "until": until,
        "factor": factor,
        "note": note,
    }
    with opened(shop) as open_shop:
        rule = rule_of_cells({name: cell for name, cell in cells.items() if cell})
        _said(open_shop.rules.add([rule], by=_me(by)), shop)


@rules.command("remove")
def remove(
    shop: ShopArgument,
    rule_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of rules.", show_default=False)],
) -> None:
    """Take rules out of the draft.

    Example: aisle rules remove myshop tea-week
    """
    with opened(shop) as open_shop:
        _said(open_shop.rules.remove(rule_ids), shop)


@rules.command("import")
def import_(
    shop: ShopArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml, .json or .csv file.", show_default=False)],
    add_only: Annotated[bool, typer.Option("--add", help="Keep the rules that are there.")] = False,
    by: ByOption = None,
) -> None:
    """Put the rules of a file in the place of the draft, or beside it.

    Example: aisle rules import myshop rules.csv --add
    """
    with opened(shop) as open_shop:
        found = read_rules(file)
        change = open_shop.rules.add if add_only else open_shop.rules.put
        _said(change(found, by=_me(by)), shop)


@rules.command("export")
def export(
    shop: ShopArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .toml, .json or .csv file.", show_default=False)],
    version: Annotated[
        int | None, typer.Option("--version", help="Of a published version; default: the draft.")
    ] = None,
) -> None:
    """Write rules to a file that `import` reads.

    Example: aisle rules export myshop rules.toml
    """
    with opened(shop) as open_shop:
        form = format_of(file)
        named = open_shop.rules.draft().rules if version is None else open_shop.rules.read(version)
        text = write_rules(named, form)
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UnavailableError(f"{file} cannot be written: {error.strerror}") from error
    out.print(f"{len(named)} rules in {escape(str(file))}", highlight=False)


@rules.command("try")
def try_(
    shop: ShopArgument,
    query: Annotated[str, typer.Argument(help="What a customer would type.", show_default=False)],
    language: Annotated[str | None, typer.Option("--language", help="Language of the asker.")] = None,
    size: SizeOption = None,
    json: JsonOption = False,
) -> None:
    """Show the list of a query as it is beside the list with the draft: what moves, which rules act.

    Example: aisle rules try myshop "green tea"
    """
    with opened(shop) as open_shop:
        trial = open_shop.rules.trial(query, language=language, size=size)
        if json:
            print_json(trial.model_dump())
            return
        titles = {item.item_id: item.title for item in open_shop.read_items([*trial.draft.item_ids])}
        before = {item_id: place for place, item_id in enumerate(trial.published.item_ids, 1)}
        lines = []
        for place, item_id in enumerate(trial.draft.item_ids, 1):
            was = before.get(item_id)
            moved = "new" if was is None else "" if was == place else f"{was - place:+d}"
            lines.append((str(place), str(was or ""), moved, escape(item_id), escape(titles[item_id])))
        headings = ("draft", "published", "moves", "item", "title")
        out.print(rows(headings, lines, escape(query)) if lines else f"{escape(query)}: nothing found with the draft")
        gone = [item_id for item_id in trial.published.item_ids if item_id not in trial.draft.item_ids]
        if gone:
            out.print(f"no longer there: {escape(', '.join(gone))}", highlight=False)
    for name, one in (("published", trial.published), (_DRAFT, trial.draft)):
        out.print(f"{name}: {escape(_acting(one))}", highlight=False)


def _acting(one: TriedList) -> str:
    leads = f", redirected to {one.redirect}" if one.redirect else ""
    acting = ", ".join(one.rules) or "no rules"
    return f"searched for {one.searched!r}, {acting} acted{leads}"


@rules.command("publish")
def publish(shop: ShopArgument, note: NoteOption = "", by: ByOption = None) -> None:
    """Let the draft count, as the next version; refused while something is wrong with it.

    Example: aisle rules publish myshop --note "tea week"
    """
    with opened(shop) as open_shop:
        made = open_shop.rules.publish(by=_me(by), note=note)
    out.print(f"version {made.version} counts now: {made.n_rules} rules", highlight=False)


@rules.command("history")
def history(shop: ShopArgument, json: JsonOption = False) -> None:
    """Every version: who published it, when and why. The first line counts.

    Example: aisle rules history myshop
    """
    with opened(shop) as open_shop:
        versions = open_shop.rules.versions()
    if json:
        print_json({"versions": [version.model_dump() for version in versions]})
        return
    lines = [
        (
            str(one.version),
            str(one.n_rules),
            datetime.fromtimestamp(one.published_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
            escape(one.published_by),
            escape(one.note) if one.restores is None else f"as version {one.restores}",
        )
        for one in versions
    ]
    out.print(
        rows(("version", "rules", "when", "who", "note"), lines, "rules") if lines else "nothing was published yet"
    )


@rules.command("rollback")
def rollback(
    shop: ShopArgument,
    version: Annotated[
        int | None, typer.Option("--version", min=0, help="To this version; default: the one before; 0 is no rules.")
    ] = None,
    by: ByOption = None,
) -> None:
    """Let an earlier version count again. The draft stays as it is; `reset` makes it what counts.

    Example: aisle rules rollback myshop
    """
    with opened(shop) as open_shop:
        made = open_shop.rules.rollback(version, by=_me(by))
    out.print(f"version {made.version} counts now: the rules of version {made.restores}", highlight=False)


@rules.command("reset")
def reset(shop: ShopArgument, by: ByOption = None) -> None:
    """Make the draft what is published; what was changed in it is gone.

    Example: aisle rules reset myshop
    """
    with opened(shop) as open_shop:
        _said(open_shop.rules.reset(by=_me(by)), shop)


@rules.command("mine")
def mine(
    shop: ShopArgument,
    least_people: Annotated[
        int, typer.Option("--people", min=2, help="People who chose something after each of two queries.")
    ] = MiningConfig().least_people,
    least_likeness: Annotated[
        float, typer.Option("--likeness", min=0.01, max=1.0, help="How alike their choices are, in 0 to 1.")
    ] = MiningConfig().least_likeness,
) -> None:
    """Propose synonyms from what people choose after different queries. They count once somebody accepts them.

    Example: aisle rules mine myshop
    """
    with opened(shop) as open_shop:
        n_new = open_shop.rules.mine(MiningConfig(least_people=least_people, least_likeness=least_likeness))
        n_open = len(open_shop.rules.proposals())
    out.print(f"{n_new} new proposals, {n_open} wait for a decision", highlight=False)
    if n_open:
        out.print(f"next: [bold]aisle rules proposals {escape(shop)}[/]", highlight=False)


@rules.command("proposals")
def proposals(
    shop: ShopArgument,
    status: Annotated[str, typer.Option("--status", help="proposed, accepted or rejected.")] = "proposed",
    json: JsonOption = False,
) -> None:
    """Rules that clicks speak for, strongest first.

    Example: aisle rules proposals myshop
    """
    with opened(shop) as open_shop:
        found = open_shop.rules.proposals(status)  # type: ignore[arg-type]  # another is refused by name
    if json:
        print_json({"proposals": [one.model_dump(mode="json") for one in found]})
        return
    lines = [
        (one.proposal_id, escape(row_of(one.rule)["value"]), escape(one.evidence), escape(one.decided_by))
        for one in found
    ]
    out.print(rows(("id", "synonyms", "why", "decided by"), lines, status) if lines else f"nothing is {escape(status)}")


@rules.command("accept")
def accept(
    shop: ShopArgument,
    proposal_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Proposals.", show_default=False)],
    by: ByOption = None,
) -> None:
    """Put proposed rules into the draft.

    Example: aisle rules accept myshop 5f0c9a7be2101c44
    """
    with opened(shop) as open_shop:
        for proposal_id in proposal_ids:
            open_shop.rules.decide(proposal_id, accept=True, by=_me(by))
        _said(open_shop.rules.draft(), shop)


@rules.command("reject")
def reject(
    shop: ShopArgument,
    proposal_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Proposals.", show_default=False)],
    by: ByOption = None,
) -> None:
    """Note that proposed rules are wrong; they are not proposed again.

    Example: aisle rules reject myshop 5f0c9a7be2101c44
    """
    with opened(shop) as open_shop:
        for proposal_id in proposal_ids:
            open_shop.rules.decide(proposal_id, accept=False, by=_me(by))
    print_line(f"{len(proposal_ids)} rejected")


def _said(draft: Rules, shop: str) -> None:
    """What the draft is now and what to do next."""
    n_problems = sum(finding.level == "problem" for finding in draft.findings)
    _show_findings(draft.findings)
    out.print(f"the draft has {len(draft.rules)} rules, {n_problems} problems", highlight=False)
    if draft.is_published:
        out.print("it is what is published")
    elif not n_problems:
        named = escape(shop)
        out.print(
            f"next: [bold]aisle rules try {named} QUERY[/], then [bold]aisle rules publish {named}[/]", highlight=False
        )


def _show_findings(findings: Sequence[RuleFinding]) -> None:
    for finding in findings[:_SHOWN]:
        tell(f"{finding.level}: rule {finding.rule}: {finding.what}")
    if len(findings) > _SHOWN:
        tell(f"and {len(findings) - _SHOWN} more (`aisle rules list --json` shows all)")
