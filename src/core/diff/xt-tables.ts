/** Tables of iptables and ip6tables, as they are and as networks want them. */
import type { Namespace } from "../model/namespace.ts";
import type { Source } from "../model/source.ts";
import type { XtRule, XtRuleset } from "../model/xtables.ts";
import type { Claim } from "../networks/claim.ts";
import { parseIptablesSave } from "../parse/iptables-save.ts";
import { formatRule } from "../parse/iptables/print.ts";
import { xtCanonical, type Renames } from "./canonical.ts";
import { compareTable } from "./table.ts";
import type { ActualChain, WantedChain, WantedInChain, WantedRule } from "./table-work.ts";
import type { Tally } from "./tally.ts";

const NO_RENAMES: Renames = new Map();

/** The ruleset that `iptables-save` prints: of the backend that the node's programs use. The other backend's is nobody's. */
function isMain(ruleset: XtRuleset): boolean {
  return !ruleset.file.includes("-legacy-");
}

/** An nft table that iptables-nft wrote shows in both listings and is compared as iptables shows it. */
export function xtTablesInNft(ns: Namespace): Set<string> {
  const names = ns.xtables
    .filter((ruleset) => ruleset.backend === "nft")
    .flatMap((ruleset) => ruleset.tables.map((table) => `${ruleset.family} ${table.name}`));
  return new Set(names);
}

interface Wanted {
  chains: { claim: Claim & { kind: "chain" }; rules: string[] | null }[];
  rules: { claim: Claim & { kind: "rule" }; rule: string }[];
}

/** Claims by family and table. */
function byTable(claims: readonly Claim[]): Map<string, Wanted> {
  const tables = new Map<string, Wanted>();
  const of = (family: string, table: string): Wanted => {
    const key = `${family} ${table}`;
    let found = tables.get(key);
    if (found === undefined) tables.set(key, (found = { chains: [], rules: [] }));
    return found;
  };
  for (const claim of claims) {
    if (claim.kind === "chain" && claim.state.backend === "iptables") {
      const rules = claim.rules?.filter((rule) => typeof rule === "string") ?? null;
      of(claim.state.family, claim.state.table).chains.push({ claim, rules });
    } else if (claim.kind === "rule" && claim.chain.backend === "iptables" && typeof claim.state === "string") {
      of(claim.chain.family, claim.chain.table).rules.push({ claim, rule: claim.state });
    }
  }
  return tables;
}

/** Reads the rules of claims as a save would hold them. `known` are chains of the table that are there. */
function parseWanted(
  family: "ip" | "ip6",
  table: string,
  wanted: Wanted,
  known: readonly string[],
): { chains: XtRule[][]; rules: XtRule[] } {
  const declared = new Set(known);
  for (const { claim } of wanted.chains) declared.add(claim.state.chain);
  for (const { claim } of wanted.rules) declared.add(claim.chain.chain);
  const lines = [`*${table}`, ...[...declared].map((chain) => `:${chain} - [0:0]`)];
  const order: { chain: string; rules: readonly string[] }[] = [
    ...wanted.chains.map(({ claim, rules }) => ({ chain: claim.state.chain, rules: rules ?? [] })),
    ...wanted.rules.map(({ claim, rule }) => ({ chain: claim.chain.chain, rules: [rule] })),
  ];
  for (const { chain, rules } of order) {
    for (const rule of rules) lines.push(`-A ${chain}${rule === "" ? "" : ` ${rule}`}`);
  }
  lines.push("COMMIT", "");
  const parsed = parseIptablesSave(lines.join("\n"), `intended ${family} ${table}`, family);
  // Rules come back by chain; those of one chain keep their order, so each claim takes its share from its chain's.
  const queues = new Map(parsed.tables[0]!.chains.map((chain) => [chain.name, chain.rules]));
  const taken = new Map<string, number>();
  const take = (chain: string, count: number): XtRule[] => {
    const from = taken.get(chain) ?? 0;
    taken.set(chain, from + count);
    return (queues.get(chain) ?? []).slice(from, from + count);
  };
  const parts = order.map(({ chain, rules }) => take(chain, rules.length));
  return { chains: parts.slice(0, wanted.chains.length), rules: parts.slice(wanted.chains.length).flat() };
}

function wantedRule(rule: XtRule): WantedRule {
  let plain: string | null = null;
  return {
    canonical: (renames) =>
      renames.size === 0 ? (plain ??= xtCanonical(rule, NO_RENAMES)) : xtCanonical(rule, renames),
    text: (chain) => formatRule(chain, rule),
  };
}

function actualChains(ruleset: XtRuleset, table: XtRuleset["tables"][number]): ActualChain[] {
  return table.chains.map((chain) => ({
    name: chain.name,
    base: chain.policy === null ? null : { policy: chain.policy },
    source: { file: ruleset.file, line: chain.line },
    rules: chain.rules.map((rule) => ({
      canonical: xtCanonical(rule, NO_RENAMES),
      text: () => formatRule(chain.name, rule),
      source: { file: ruleset.file, line: rule.line },
    })),
  }));
}

/** Compares the tables of one namespace. `renames`: hashed names of its sets, by the claims' stand-ins. */
export function compareXtables(ns: Namespace, claims: readonly Claim[], renames: Renames, tally: Tally): void {
  const wanted = byTable(claims);
  const done = new Set<string>();
  const work = (
    family: "ip" | "ip6",
    table: string,
    ruleset: XtRuleset | null,
    actual: ActualChain[],
    want: Wanted,
  ): void => {
    const parsed = parseWanted(
      family,
      table,
      want,
      actual.map((chain) => chain.name),
    );
    const listing: Source | null = ruleset === null ? null : { file: ruleset.file, line: 1 };
    compareTable(
      {
        at: ns.place,
        table: { backend: "iptables", family, table },
        chains: want.chains.map(({ claim, rules }, i): WantedChain => {
          const policy = claim.state.backend === "iptables" ? claim.state.policy : undefined;
          return {
            owner: claim.owner,
            name: claim.state.chain,
            hashed: claim.hashed ?? null,
            optional: claim.optional === true,
            freeOrder: claim.freeOrder ?? 0,
            freeComments: claim.freeComments === true,
            base: typeof policy === "string" ? { policy } : null,
            rules: rules === null ? null : parsed.chains[i]!.map(wantedRule),
          };
        }),
        rules: want.rules.map(({ claim }, i): WantedInChain => ({
          owner: claim.owner,
          chain: claim.chain.chain,
          optional: claim.optional === true,
          freeOrder: claim.freeOrder === true,
          rule: wantedRule(parsed.rules[i]!),
        })),
        actual,
        listing,
        renames: new Map(renames),
        ofKernel: (chain) => chain.base !== null && chain.base["policy"] === "ACCEPT",
      },
      tally,
    );
  };
  for (const ruleset of ns.xtables) {
    for (const table of ruleset.tables) {
      const key = `${ruleset.family} ${table.name}`;
      const main = isMain(ruleset);
      const want = (main ? wanted.get(key) : undefined) ?? { chains: [], rules: [] };
      if (main) done.add(key);
      work(ruleset.family, table.name, ruleset, actualChains(ruleset, table), want);
    }
  }
  for (const [key, want] of wanted) {
    if (done.has(key)) continue;
    const [family, table] = key.split(" ") as ["ip" | "ip6", string];
    const why = ns.missing.get(family === "ip" ? "iptables" : "ip6tables");
    if (why !== undefined) tally.unknown.push({ at: ns.place, what: `${family}tables' table ${table}`, why });
    else work(family, table, null, [], want);
  }
}
