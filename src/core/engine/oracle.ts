/** Where a walk asks chance, or admits that it does not know. The explorer answers, and runs the walk once for every answer. */
import type { Source } from "../model/source.ts";

export interface Oracle {
  /**
   * One of `weights.length` ways, way i with the chance weights[i] / sum(weights).
   * `weights` are non-negative integers whose sum is below 2^53, at least one positive. Returns the index; never one of weight 0.
   */
  choose(weights: readonly number[]): number;
  /**
   * Both ways, with chances that nobody can tell; `why` names what is not known or not modelled, `source` the line that asks.
   * The verdict mentions it only if the two ways end differently.
   */
  unknown(why: string, source: Source | null): boolean;
}
