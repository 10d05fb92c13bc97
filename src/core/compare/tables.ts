/** Tables of iptables and nftables as chains to compare. */
import { nftCanonical, xtCanonical } from "../diff/canonical.ts";
import { nftTables } from "../diff/nft-tables.ts";
import type { Namespace } from "../model/namespace.ts";
import { ruleText } from "../model/nft-text.ts";
import type { NftChain } from "../model/nftables.ts";
import type { Source } from "../model/source.ts";
import type { XtRule } from "../model/xtables.ts";
import { formatRule } from "../parse/iptables/print.ts";
import { wantsOfNft, wantsOfXt, type Wants } from "./disjoint.ts";
import type { ComparedChain, ComparedRule } from "./rules.ts";
import type { StandIns } from "./stand-ins.ts";

const NO_RENAMES = new Map<string, string>();

/** Looked at when it is asked for, once. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

function rule(
  ns: Namespace,
  standIns: StandIns,
  canonical: string,
  text: () => string,
  source: Source,
  wants: () => Wants,
): ComparedRule {
  return {
    canonical: standIns.any(ns.place) ? standIns.text(ns.place, canonical) : canonical,
    text,
    source,
    wants: once(wants),
  };
}

/** A comment decides nothing. */
function uncommented(xt: XtRule): XtRule {
  return xt.matches.some((match) => match.m === "comment")
    ? { ...xt, matches: xt.matches.filter((match) => match.m !== "comment") }
    : xt;
}

/** Chains of both families and backends of iptables. */
export function xtChains(ns: Namespace, standIns: StandIns): ComparedChain[] {
  return ns.xtables.flatMap((ruleset) =>
    ruleset.tables.flatMap((table) =>
      table.chains.map((chain) => {
        const legacy = ruleset.file.includes("-legacy-") ? "legacy " : "";
        return {
          what: `${legacy}${ruleset.family} ${table.name} ${chain.name}`,
          base: chain.policy === null ? "" : `policy ${chain.policy}`,
          source: { file: ruleset.file, line: chain.line },
          rules: chain.rules.map((xt) =>
            rule(
              ns,
              standIns,
              xtCanonical(uncommented(xt), NO_RENAMES),
              () => formatRule(chain.name, xt),
              { file: ruleset.file, line: xt.line },
              () => wantsOfXt(xt),
            ),
          ),
        };
      }),
    ),
  );
}

function baseText(chain: NftChain): string {
  if (chain.base === null) return "";
  const { type, hook, priority, policy, devices } = chain.base;
  const on = devices.length === 0 ? "" : ` devices ${devices.join(", ")}`;
  return `type ${type} hook ${hook}${on} priority ${priority} policy ${policy}`;
}

/** Chains of nftables' own tables; `lineOf` gives a line of the snapshot. */
export function nftChains(ns: Namespace, standIns: StandIns, lineOf: (source: Source) => string): ComparedChain[] {
  return nftTables(ns).flatMap((table) => {
    const dormant = table.flags.includes("dormant") ? " dormant" : "";
    return table.chains.map((chain) => ({
      what: `nft ${table.family} ${table.name} ${chain.name}`,
      base: `${baseText(chain)}${dormant}`.trim(),
      source: chain.source,
      rules: chain.rules.map((each) =>
        rule(
          ns,
          standIns,
          nftCanonical(each.expr, null),
          () => ruleText(lineOf(each.source)),
          each.source,
          () => wantsOfNft(each.expr),
        ),
      ),
    }));
  });
}
