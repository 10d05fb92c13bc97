/** Which chain of which namespace the lines are that settled walks. */
import type { Namespace } from "../model/namespace.ts";
import type { Source } from "../model/source.ts";
import type { Chart } from "./chart.ts";

export interface RulePlace {
  ns: Namespace;
  table: string;
  chain: string;
  /** Rules of the chain before this one, as jumps: chains that the packet was shown to first. */
  jumps: readonly string[];
}

export const lineKey = ({ file, line }: Source): string => `${file}:${line}`;

/** The chains in which `sources` stand, by {@link lineKey}; lines that are no rules are left out. Reads each ruleset once. */
export function rulePlaces(chart: Chart, sources: Iterable<Source>): Map<string, RulePlace> {
  const lines = new Map<string, Set<number>>();
  for (const { file, line } of sources) lines.set(file, (lines.get(file) ?? new Set()).add(line));
  const found = new Map<string, RulePlace>();
  for (const ns of chart.snapshot.namespaces) {
    for (const set of ns.xtables) {
      const wanted = lines.get(set.file);
      if (wanted === undefined) continue;
      for (const table of set.tables)
        for (const chain of table.chains)
          for (const [i, { line }] of chain.rules.entries())
            if (wanted.has(line)) {
              const jumps = chain.rules
                .slice(0, i)
                .flatMap(({ target }) => (target.t === "jump" || target.t === "goto" ? [target.chain] : []));
              found.set(lineKey({ file: set.file, line }), { ns, table: table.name, chain: chain.name, jumps });
            }
    }
    const wantsNft = ns.nft !== null && [...lines.keys()].some((file) => file.startsWith(`${ns.dir}/nft`));
    if (!wantsNft || ns.nft === null) continue;
    for (const table of ns.nft.tables)
      for (const chain of table.chains)
        for (const { source } of chain.rules)
          if (lines.get(source.file)?.has(source.line) === true)
            found.set(lineKey(source), { ns, table: table.name, chain: chain.name, jumps: [] });
  }
  return found;
}
