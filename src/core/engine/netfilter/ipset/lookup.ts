/** How a set answers. */
import type { EvalState } from "../program.ts";
import type { Directions } from "./fields.ts";

/** Beside NO, YES and MAYBE: the packet meets a `nomatch` element (-ENOTEMPTY in the kernel). */
export const EXCLUDED = 3;

/** Is the packet in the set? NO, YES, MAYBE (then `s.why` says why) or EXCLUDED. */
export type Lookup = (s: EvalState, dirs: Directions) => number;

/** A set ready to be asked. */
export interface CompiledSet {
  readonly name: string;
  /** Directions that a rule must give at least (set_type.dimension). */
  readonly dimensions: number;
  /** IP version that the set takes; null for both. */
  readonly family: 4 | 6 | null;
  /** `nomatch` elements exist for the type (IPSET_TYPE_NOMATCH): --return-nomatch has a meaning. */
  readonly hasNomatch: boolean;
  readonly lookup: Lookup;
}
