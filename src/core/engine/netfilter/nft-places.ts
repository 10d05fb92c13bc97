/** Where nft hooks its chains, in the engine's words. */
import type { NftChain, NftTable } from "../../model/nftables.ts";
import type { BaseChain, Hook } from "./context.ts";

/** nft's name of a hook; null for one that IP packets do not meet. */
export function hookOf(name: string): Hook | null {
  switch (name) {
    case "prerouting":
    case "input":
    case "forward":
    case "output":
    case "postrouting":
    case "ingress":
    case "egress":
      return name;
    default:
      return null;
  }
}

/** nft's chain types; nf_tables has no others. */
export function typeOf(name: string): BaseChain["type"] {
  return name === "nat" || name === "route" ? name : "filter";
}

/**
 * A number that grows with the order of registration as far as handles tell it: tables count theirs per namespace, chains
 * per table, so of two chains of one table the higher handle is the later; between tables it is likely only.
 */
export function registrationOf(table: NftTable, chain: NftChain): number {
  return table.handle * 2 ** 32 + chain.handle;
}
