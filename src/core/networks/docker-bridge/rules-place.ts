/** Claims of Docker in tables of iptables. */
import type { Claim } from "../claim.ts";

const OWNER = "docker";

const of = (table: string, chain: string) => ({ backend: "iptables", family: "ip", table, chain }) as const;

/** A rule of a built-in chain. */
export const rule = (at: string, table: string, chain: string, state: string): Claim => ({
  owner: OWNER,
  at,
  kind: "rule",
  chain: of(table, chain),
  state,
});

/** A chain of Docker's own, with its rules. */
export const chain = (at: string, table: string, name: string, rules: string[]): Claim => ({
  owner: OWNER,
  at,
  kind: "chain",
  state: of(table, name),
  rules,
});

/** The policy of a built-in chain, whose rules are of many. */
export const policy = (at: string, table: string, name: string, value: "ACCEPT" | "DROP"): Claim => ({
  owner: OWNER,
  at,
  kind: "chain",
  state: { ...of(table, name), policy: value },
  rules: null,
});
