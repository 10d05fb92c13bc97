/** Claims on nftables as a file that `nft -f` loads. */
import type { NftFamily } from "../../model/nftables.ts";
import type { Claim } from "../claim.ts";
import { nftRulesetText, type PrintedChain, type PrintedSet, type PrintedTable } from "./nft-text.ts";

interface Draft {
  family: NftFamily;
  name: string;
  sets: PrintedSet[];
  chains: Map<string, { base: PrintedChain["base"]; rules: PrintedChain["rules"][number][] }>;
}

/** The tables that the claims make; empty text when there are none. */
export function nftFileText(claims: readonly Claim[]): string {
  const drafts = new Map<string, Draft>();
  const of = (family: NftFamily, name: string): Draft => {
    const key = `${family} ${name}`;
    let draft = drafts.get(key);
    if (draft === undefined) drafts.set(key, (draft = { family, name, sets: [], chains: new Map() }));
    return draft;
  };
  const chainOf = (
    draft: Draft,
    name: string,
  ): { base: PrintedChain["base"]; rules: PrintedChain["rules"][number][] } => {
    let chain = draft.chains.get(name);
    if (chain === undefined) draft.chains.set(name, (chain = { base: null, rules: [] }));
    return chain;
  };
  for (const claim of claims) {
    if (claim.kind === "chain" && claim.state.backend === "nft") {
      const chain = chainOf(of(claim.state.family, claim.state.table), claim.state.chain);
      chain.base = claim.state.base;
      chain.rules.push(...(claim.rules ?? []).filter((rule) => typeof rule !== "string"));
    } else if (claim.kind === "rule" && claim.chain.backend === "nft") {
      if (typeof claim.state !== "string")
        chainOf(of(claim.chain.family, claim.chain.table), claim.chain.chain).rules.push(claim.state);
    } else if (claim.kind === "set" && claim.state.backend === "nft") {
      of(claim.state.family, claim.state.table).sets.push(claim.state);
    }
  }
  const tables = [...drafts.values()].map(({ family, name, sets, chains }): PrintedTable => ({
    family,
    name,
    sets,
    chains: [...chains].map(([chain, { base, rules }]) => ({ name: chain, base, rules })),
  }));
  return tables.length === 0 ? "" : nftRulesetText(tables);
}
