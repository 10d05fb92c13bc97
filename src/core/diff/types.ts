/** What `kubewalk diff` answers: format kubewalk.diff/v1 of the contract. */
import type { Source } from "../model/source.ts";
import type { Kind } from "../networks/claim.ts";

/** A piece of state as a flat record. */
export type Piece = Record<string, unknown>;

export interface OwnerCount {
  owner: string;
  at: string;
  kind: Kind;
  /** How many pieces the owner wants there, and how many of these are there as it wants them. */
  intended: number;
  equal: number;
}

export interface Difference {
  owner: string;
  at: string;
  kind: Kind;
  /** Null: nothing of the kind should be there. */
  intended: Piece | null;
  /** Null: it is missing. */
  actual: Piece | null;
  /** Where the snapshot shows what is there, or the listing in which it is missing. */
  source: Source | null;
}

/** State that no network claims. */
export interface Unowned {
  at: string;
  kind: Kind;
  text: string;
  source: Source;
}

export interface Diff {
  owners: OwnerCount[];
  differences: Difference[];
  unowned: Unowned[];
  /** What could not be compared, each with the reason. */
  unknown: { at: string; what: string; why: string }[];
}
