/** Claims on iptables and ipset as the text that iptables-restore, ip6tables-restore and ipset restore load. */
import type { Claim } from "../claim.ts";
import type { XtFamily } from "../state.ts";

interface Table {
  chains: Map<string, string | null>;
  rules: string[];
}

/** Chains that a table has from the start (ip_tables' table modules). */
const BUILT_IN: ReadonlySet<string> = new Set(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);

/** What `iptables-restore --noflush` loads for one family; empty when nothing is claimed. */
export function xtRestoreText(claims: readonly Claim[], family: XtFamily): string {
  const tables = new Map<string, Table>();
  const of = (name: string): Table => {
    let table = tables.get(name);
    if (table === undefined) tables.set(name, (table = { chains: new Map(), rules: [] }));
    return table;
  };
  const rule = (table: Table, chain: string, text: string): void => {
    table.rules.push(`-A ${chain}${text === "" ? "" : ` ${text}`}`);
  };
  for (const claim of claims) {
    if (claim.kind === "chain" && claim.state.backend === "iptables" && claim.state.family === family) {
      const table = of(claim.state.table);
      const { chain } = claim.state;
      // A built-in chain is there already, and its line would set its policy.
      if (!BUILT_IN.has(chain)) table.chains.set(chain, null);
      else if (typeof claim.state.policy === "string") table.chains.set(chain, claim.state.policy);
      for (const each of claim.rules ?? []) if (typeof each === "string") rule(table, chain, each);
    } else if (claim.kind === "rule" && claim.chain.backend === "iptables" && claim.chain.family === family) {
      if (typeof claim.state === "string") rule(of(claim.chain.table), claim.chain.chain, claim.state);
    }
  }
  return [...tables]
    .map(([name, { chains, rules }]) =>
      [
        `*${name}`,
        ...[...chains].map(([chain, policy]) => `:${chain} ${policy ?? "-"} [0:0]`),
        ...rules,
        "COMMIT",
        "",
      ].join("\n"),
    )
    .join("");
}

/** Commands that make the counters which rules of iptables name (`-m nfacct`); iptables-restore takes no rule without its counter. */
export function nfacctCommands(claims: readonly Claim[]): string[] {
  const names = claims.flatMap((claim) => {
    const rules = claim.kind === "chain" ? (claim.rules ?? []) : claim.kind === "rule" ? [claim.state] : [];
    return rules.flatMap((rule) => (typeof rule === "string" ? (/--nfacct-name (\S+)/.exec(rule)?.[1] ?? []) : []));
  });
  return [...new Set(names)].map((name) => `nfacct add ${name}`);
}

/** What `ipset restore` loads; empty when no set is claimed. */
export function ipsetRestoreText(claims: readonly Claim[]): string {
  return claims
    .flatMap((claim) => {
      if (claim.kind !== "set" || claim.state.backend !== "ipset") return [];
      const { name, type, family, elements } = claim.state;
      // A bitmap needs its range; of ports it is all that there are.
      const options = type === "bitmap:port" ? " range 0-65535" : family === null ? "" : ` family ${family}`;
      const create = `create ${name} ${type}${options}`;
      return [create, ...elements.map((element) => `add ${name} ${element}`)].map((line) => `${line}\n`);
    })
    .join("");
}
