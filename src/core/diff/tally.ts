/** Collects what a comparison finds. */
import type { Source } from "../model/source.ts";
import type { Kind } from "../networks/claim.ts";
import type { Diff, Difference, OwnerCount, Piece, Unowned } from "./types.ts";

export class Tally {
  private readonly counts = new Map<string, OwnerCount>();
  readonly differences: Difference[] = [];
  readonly unowned: Unowned[] = [];
  readonly unknown: Diff["unknown"] = [];

  private count(owner: string, at: string, kind: Kind): OwnerCount {
    const key = `${owner} ${at} ${kind}`;
    let found = this.counts.get(key);
    if (found === undefined) this.counts.set(key, (found = { owner, at, kind, intended: 0, equal: 0 }));
    return found;
  }

  equal(owner: string, at: string, kind: Kind, pieces = 1): void {
    const count = this.count(owner, at, kind);
    count.intended += pieces;
    count.equal += pieces;
  }

  /** `intended` null: it should not be there. `pieces`: how many the owner wants of what differs. */
  differs(
    owner: string,
    at: string,
    kind: Kind,
    intended: Piece | null,
    actual: Piece | null,
    source: Source | null,
    pieces = 1,
  ): void {
    if (intended !== null) this.count(owner, at, kind).intended += pieces;
    this.differences.push({ owner, at, kind, intended, actual, source });
  }

  nobodys(at: string, kind: Kind, text: string, source: Source): void {
    this.unowned.push({ at, kind, text, source });
  }

  result(): Diff {
    const owners = [...this.counts.values()].toSorted(
      (a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0) || (a.owner < b.owner ? -1 : a.owner > b.owner ? 1 : 0),
    );
    return { owners, differences: this.differences, unowned: this.unowned, unknown: this.unknown };
  }
}
