/** Tables of nftables that iptables-nft did not write: their chains and rules, as they are and as networks want them. */
import type { Namespace } from "../model/namespace.ts";
import { ruleText } from "../model/nft-text.ts";
import type { NftChain, NftTable } from "../model/nftables.ts";
import type { Source } from "../model/source.ts";
import type { Claim } from "../networks/claim.ts";
import type { RuleState } from "../networks/state.ts";
import { nftCanonical } from "./canonical.ts";
import { compareTable } from "./table.ts";
import type { ActualChain, WantedChain, WantedInChain, WantedRule } from "./table-work.ts";
import type { Tally } from "./tally.ts";
import type { Piece } from "./types.ts";
import { xtTablesInNft } from "./xt-tables.ts";

/** The tables of `ns` that are nftables' own. */
export function nftTables(ns: Namespace): NftTable[] {
  const others = xtTablesInNft(ns);
  return (ns.nft?.tables ?? []).filter((table) => !others.has(`${table.family} ${table.name}`));
}

function base(chain: NftChain): Piece | null {
  if (chain.base === null) return null;
  const { type, hook, priority, policy } = chain.base;
  return { type, hook, priority, policy };
}

function actualChains(table: NftTable, lineOf: (source: Source) => string): ActualChain[] {
  return table.chains.map((chain) => ({
    name: chain.name,
    base: base(chain),
    source: chain.source,
    rules: chain.rules.map((rule) => ({
      canonical: nftCanonical(rule.expr, rule.comment),
      text: () => ruleText(lineOf(rule.source)),
      source: rule.source,
    })),
  }));
}

function wantedRule(rule: RuleState): WantedRule {
  const canonical = typeof rule === "string" ? rule : nftCanonical(rule.expr, rule.comment ?? null);
  return { canonical: () => canonical, text: () => (typeof rule === "string" ? rule : JSON.stringify(rule.expr)) };
}

/** Compares the tables of one namespace; `lineOf` gives a line of the snapshot. */
export function compareNftables(
  ns: Namespace,
  claims: readonly Claim[],
  lineOf: (source: Source) => string,
  tally: Tally,
): void {
  const wanted = new Map<string, { chains: WantedChain[]; rules: WantedInChain[] }>();
  const of = (family: string, table: string): { chains: WantedChain[]; rules: WantedInChain[] } => {
    const key = `${family} ${table}`;
    let found = wanted.get(key);
    if (found === undefined) wanted.set(key, (found = { chains: [], rules: [] }));
    return found;
  };
  for (const claim of claims) {
    if (claim.kind === "chain" && claim.state.backend === "nft") {
      of(claim.state.family, claim.state.table).chains.push({
        owner: claim.owner,
        name: claim.state.chain,
        hashed: claim.hashed ?? null,
        optional: claim.optional === true,
        freeOrder: claim.freeOrder ?? 0,
        freeComments: claim.freeComments === true,
        base: claim.state.base,
        rules: claim.rules?.map(wantedRule) ?? null,
      });
    } else if (claim.kind === "rule" && claim.chain.backend === "nft") {
      of(claim.chain.family, claim.chain.table).rules.push({
        owner: claim.owner,
        chain: claim.chain.chain,
        optional: claim.optional === true,
        freeOrder: claim.freeOrder === true,
        rule: wantedRule(claim.state),
      });
    }
  }
  if (wanted.size > 0 && ns.nft === null) {
    tally.unknown.push({ at: ns.place, what: "nftables", why: ns.missing.get("nft") ?? "nft.json was not recorded" });
    return;
  }
  const tables = new Map(nftTables(ns).map((table) => [`${table.family} ${table.name}`, table]));
  for (const key of new Set([...tables.keys(), ...wanted.keys()])) {
    const table = tables.get(key);
    const [family, name] = key.split(" ", 2) as [string, string];
    compareTable(
      {
        at: ns.place,
        table: { backend: "nft", family, table: name },
        ...(wanted.get(key) ?? { chains: [], rules: [] }),
        actual: table === undefined ? [] : actualChains(table, lineOf),
        listing: table?.source ?? (ns.nft === null ? null : { file: ns.nft.file, line: 1 }),
        renames: new Map(),
        ofKernel: () => false,
      },
      tally,
    );
  }
}
