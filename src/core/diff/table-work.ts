/** One table of iptables or nftables: its chains as they are and as networks want them. */
import type { Source } from "../model/source.ts";
import type { Renames } from "./canonical.ts";
import type { Piece } from "./types.ts";

export interface ActualRule {
  canonical: string;
  /** As iptables-save or nft prints it. */
  text(): string;
  source: Source;
}

export interface ActualChain {
  name: string;
  /** What makes it a base chain: hook, priority, policy; null for a regular one. */
  base: Piece | null;
  rules: ActualRule[];
  source: Source;
}

export interface WantedRule {
  canonical(renames: Renames): string;
  /** As iptables-save prints it in this chain; an nftables rule has no chain's name in it. */
  text(chain: string): string;
}

export interface WantedChain {
  owner: string;
  name: string;
  hashed: string | null;
  optional: boolean;
  base: Piece | null;
  /** Null: its rules are claimed one by one. */
  rules: WantedRule[] | null;
  /** So many of the first rules may stand in any order. */
  freeOrder: number;
  /** Comments of its rules are not compared. */
  freeComments: boolean;
}

export interface WantedInChain {
  owner: string;
  chain: string;
  optional: boolean;
  /** It may stand anywhere among its owner's. */
  freeOrder: boolean;
  rule: WantedRule;
}

export interface TableWork {
  at: string;
  /** Fields that name the table in every piece: backend, family, table. */
  table: Piece;
  chains: WantedChain[];
  rules: WantedInChain[];
  actual: ActualChain[];
  /** Where what is missing would stand. */
  listing: Source | null;
  /** Stand-ins for hashed names of sets; those of chains are added. */
  renames: Map<string, string>;
  /** Whether the kernel has this chain by itself: a built-in chain with its first policy. */
  ofKernel(chain: ActualChain): boolean;
}
