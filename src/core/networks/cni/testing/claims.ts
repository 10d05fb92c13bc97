/** For tests: claims in the words that programs read. */
import type { Claim } from "../../claim.ts";

/** Claims on iptables of one family as a save that iptables-restore reads. */
export function saveText(claims: readonly Claim[], family: "ip" | "ip6" = "ip"): string {
  const tables = new Map<string, { chains: Map<string, string>; rules: string[] }>();
  const of = (table: string) => {
    const found = tables.get(table) ?? { chains: new Map<string, string>(), rules: [] };
    tables.set(table, found);
    return found;
  };
  const builtIn = /^[A-Z]+$/;
  const isOwn = (chain: string): boolean => !builtIn.test(chain) || chain === "DOCKER";
  for (const claim of claims) {
    if (claim.kind === "chain" && claim.state.backend === "iptables" && claim.state.family === family) {
      const table = of(claim.state.table);
      table.chains.set(claim.state.chain, claim.state.policy ?? (isOwn(claim.state.chain) ? "-" : "ACCEPT"));
      for (const rule of claim.rules ?? []) table.rules.push(`-A ${claim.state.chain} ${String(rule)}`);
    } else if (claim.kind === "rule" && claim.chain.backend === "iptables" && claim.chain.family === family) {
      const table = of(claim.chain.table);
      if (!table.chains.has(claim.chain.chain)) table.chains.set(claim.chain.chain, "ACCEPT");
      table.rules.push(`-A ${claim.chain.chain} ${String(claim.state)}`);
    }
  }
  return [...tables]
    .flatMap(([name, { chains, rules }]) => [
      `*${name}`,
      ...[...chains].map(([chain, policy]) => `:${chain} ${policy} [0:0]`),
      ...rules,
      "COMMIT",
      "",
    ])
    .join("\n");
}

/** Claims on nftables as the JSON that `nft -j -f -` reads. */
export function nftCommands(claims: readonly Claim[]): string {
  const tables = new Map<string, unknown>();
  const chains: unknown[] = [];
  const rules: unknown[] = [];
  for (const claim of claims) {
    if (claim.kind !== "chain" || claim.state.backend !== "nft") continue;
    const { family, table, chain, base } = claim.state;
    tables.set(`${family} ${table}`, { add: { table: { family, name: table } } });
    const hook = base === null ? {} : { type: base.type, hook: base.hook, prio: base.priority, policy: base.policy };
    chains.push({ add: { chain: { family, table, name: chain, ...hook } } });
    for (const rule of claim.rules ?? []) {
      if (typeof rule === "string") continue;
      const comment = typeof rule.comment === "string" ? { comment: rule.comment } : {};
      rules.push({ add: { rule: { family, table, chain, expr: rule.expr, ...comment } } });
    }
  }
  return JSON.stringify({ nftables: [...tables.values(), ...chains, ...rules] });
}
