/** Compares pieces of state that stand alone: links, addresses, routes, policy rules, neighbours, FDB entries. */
import type { Source } from "../model/source.ts";
import type { Kind } from "../networks/claim.ts";
import type { Actual } from "./actual.ts";
import type { Tally } from "./tally.ts";
import type { Piece } from "./types.ts";

/** A claim on one piece. */
export interface PieceClaim<S> {
  owner: string;
  state: S;
  optional: boolean;
}

/** How one kind of state is compared. */
export interface PieceKind<S> {
  kind: Kind;
  /** Pieces of one key are laid beside each other. */
  key(state: S): string;
  /** As the node's own command prints it. */
  text(state: S): string;
  /** Whether the kernel made this piece by itself, of others or of what it saw. */
  ofKernel(state: S): boolean;
}

/** Whether `actual` is as `wanted` says; what `wanted` leaves out is left out of the comparison. */
function agrees(wanted: unknown, actual: unknown): boolean {
  if (wanted === undefined) return true;
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) && wanted.length === actual.length && wanted.every((each, i) => agrees(each, actual[i]))
    );
  }
  if (typeof wanted === "object" && wanted !== null) {
    if (typeof actual !== "object" || actual === null) return false;
    const there = actual as Record<string, unknown>;
    return Object.entries(wanted).every(([name, value]) => agrees(value, there[name]));
  }
  return wanted === actual || (wanted === null && actual === undefined);
}

/**
 * Lays the claims on one namespace beside what is there. Of claims and pieces with one key, equal ones are matched first, then the rest
 * in their order. `listing` is where a missing piece would stand.
 */
export function comparePieces<S extends object>(
  at: string,
  what: PieceKind<S>,
  claims: readonly PieceClaim<S>[],
  actual: readonly Actual<S>[],
  listing: Source | null,
  tally: Tally,
): void {
  const there = new Map<string, Actual<S>[]>();
  for (const each of actual) {
    const key = what.key(each.state);
    const list = there.get(key);
    if (list === undefined) there.set(key, [each]);
    else list.push(each);
  }
  const unmet: PieceClaim<S>[] = [];
  for (const claim of claims) {
    const list = there.get(what.key(claim.state));
    const place = list?.findIndex((each) => agrees(claim.state, each.state)) ?? -1;
    if (list === undefined || place < 0) unmet.push(claim);
    else {
      list.splice(place, 1);
      tally.equal(claim.owner, at, what.kind);
    }
  }
  for (const claim of unmet) {
    const list = there.get(what.key(claim.state));
    const found = list?.find((each) => !what.ofKernel(each.state)) ?? (claim.optional ? undefined : list?.[0]);
    if (found !== undefined && list !== undefined) {
      list.splice(list.indexOf(found), 1);
      tally.differs(claim.owner, at, what.kind, claim.state as Piece, found.state as Piece, found.source);
    } else if (!claim.optional) {
      tally.differs(claim.owner, at, what.kind, claim.state as Piece, null, listing);
    }
  }
  for (const list of there.values()) {
    for (const { state, source } of list) {
      if (what.ofKernel(state)) tally.equal("kernel", at, what.kind);
      else tally.nobodys(at, what.kind, what.text(state), source);
    }
  }
}
