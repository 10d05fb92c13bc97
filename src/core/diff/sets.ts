/** Compares sets: ipset's, and the sets and maps of nftables. */
import type { Namespace } from "../model/namespace.ts";
import type { NftSet, NftTable } from "../model/nftables.ts";
import type { Source } from "../model/source.ts";
import type { Claim } from "../networks/claim.ts";
import type { SetState } from "../networks/state.ts";
import { actualIpsets } from "./actual.ts";
import { elementsCanonical } from "./canonical.ts";
import { nftTables } from "./nft-tables.ts";
import type { Tally } from "./tally.ts";
import type { Piece } from "./types.ts";

type SetClaim = Claim & { kind: "set" };
type Nft = SetState & { backend: "nft" };

interface ActualSet {
  state: SetState;
  source: Source;
}

/** What two sets must have in common; an element's order means nothing, nor do the elements of a set that packets fill. */
function content(set: SetState): string {
  if (set.backend === "ipset") return `${set.type} ${set.family ?? ""}\n${set.elements.toSorted().join("\n")}`;
  const shape = [set.isMap, set.keyTypes.join("."), set.valueType ?? ""].join(" ");
  // nft 1.0.6 does not print `dynamic` in JSON; packets fill what is dynamic, and what runs out of time.
  const flags = (set.flags ?? []).filter((flag) => flag !== "dynamic").toSorted();
  const filled = flags.includes("timeout") || set.flags?.includes("dynamic") === true;
  return `${shape} ${flags.join(",")}\n${filled ? "" : elementsCanonical(set.elements)}`;
}

const keyOf = (set: SetState): string =>
  set.backend === "ipset" ? `ipset ${set.name}` : `nft ${set.family} ${set.table} ${set.name}`;

function nftSet(table: NftTable, set: NftSet): ActualSet {
  const state: Nft = {
    backend: "nft",
    family: table.family,
    table: table.name,
    name: set.name,
    isMap: set.isMap,
    keyTypes: set.keyTypes,
    valueType: set.valueType,
    flags: set.flags,
    elements: set.elements,
  };
  return { state, source: set.source };
}

/** Where a missing set would stand. */
function listing(ns: Namespace, set: SetState): Source | null {
  if (set.backend === "ipset") return { file: `${ns.dir}/ipset.txt`, line: 1 };
  return ns.nft === null ? null : { file: ns.nft.file, line: 1 };
}

/** Compares one namespace's sets; returns the names of those that are hashes, by the names that stand for them in claims. */
export function compareSets(
  ns: Namespace,
  claims: readonly Claim[],
  lineOf: (source: Source) => string,
  tally: Tally,
): Map<string, string> {
  const wanted = claims.filter((claim): claim is SetClaim => claim.kind === "set");
  const actual: ActualSet[] = [
    ...actualIpsets(ns, lineOf),
    ...nftTables(ns).flatMap((table) => table.sets.map((set) => nftSet(table, set))),
  ];
  const renames = new Map<string, string>();
  const why = ns.missing.get("ipset");
  const free = new Map(actual.map((set) => [keyOf(set.state), set]));
  const take = (claim: SetClaim, found: ActualSet): void => {
    free.delete(keyOf(found.state));
    if (content(claim.state) === content(found.state)) tally.equal(claim.owner, ns.place, "set");
    else
      tally.differs(
        claim.owner,
        ns.place,
        "set",
        claim.state as unknown as Piece,
        found.state as unknown as Piece,
        found.source,
      );
  };
  const open: SetClaim[] = [];
  for (const claim of wanted) {
    const found = free.get(keyOf(claim.state));
    if (found !== undefined) take(claim, found);
    else open.push(claim);
  }
  const missing: SetClaim[] = [];
  for (const claim of open) {
    const prefix = claim.hashed;
    const rivals = prefix === undefined ? [] : [...free.values()].filter((set) => set.state.name.startsWith(prefix));
    const found = rivals.find((set) => content(set.state) === content(claim.state));
    if (found === undefined) missing.push(claim);
    else {
      renames.set(claim.state.name, found.state.name);
      take(claim, found);
    }
  }
  for (const claim of missing) {
    if (claim.optional === true) continue;
    if (claim.state.backend === "ipset" && why !== undefined)
      tally.unknown.push({ at: ns.place, what: `set ${claim.state.name}`, why });
    else tally.differs(claim.owner, ns.place, "set", claim.state as unknown as Piece, null, listing(ns, claim.state));
  }
  for (const { state, source } of free.values())
    tally.nobodys(
      ns.place,
      "set",
      `${keyOf(state)} (${state.backend === "ipset" ? state.type : state.keyTypes.join(" . ")})`,
      source,
    );
  return renames;
}
