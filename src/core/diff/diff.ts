/** What the networks of a site intend, against what its nodes have. */
import type { Link } from "../model/link.ts";
import type { Aspect, Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Source } from "../model/source.ts";
import type { Claim } from "../networks/claim.ts";
import { intentOf } from "../networks/intent.ts";
import { nodesOf, type Machine } from "../networks/site.ts";
import { siteOf } from "../networks/site-of.ts";
import {
  actualAddresses,
  actualFdb,
  actualLinks,
  actualNeighbours,
  actualRoutes,
  actualRuleLookups,
  type Actual,
} from "./actual.ts";
import { compareNftables } from "./nft-tables.ts";
import { ADDRESSES, FDB, LINKS, NEIGHBOURS, ROUTES, RULE_LOOKUPS } from "./piece-kinds.ts";
import { comparePieces, type PieceKind } from "./pieces.ts";
import { compareSets } from "./sets.ts";
import { compareSysctls } from "./sysctls.ts";
import { Tally } from "./tally.ts";
import type { Diff, Piece } from "./types.ts";
import { compareXtables } from "./xt-tables.ts";

/** Both ends of a machine's veth pairs, by place and device. */
export function vethPeers(machine: Machine): Map<string, string> {
  const found = new Map<string, string>();
  for (const { place, device, hostDevice } of machine.sandboxes) {
    if (device === null || hostDevice === null) continue;
    found.set(`${machine.place} ${hostDevice.name}`, `${place} ${device.name}`);
    found.set(`${place} ${device.name}`, `${machine.place} ${hostDevice.name}`);
  }
  return found;
}

/** Compares one kind, unless the listing that shows it is missing. */
function pieces<S extends object>(
  ns: Namespace,
  what: PieceKind<S>,
  claims: readonly Claim[],
  aspects: readonly Aspect[],
  file: string,
  actual: () => Actual<S>[],
  tally: Tally,
): void {
  const wanted = claims.filter((claim) => claim.kind === what.kind);
  const aspect = aspects.find((each) => ns.missing.has(each));
  if (aspect !== undefined) {
    const why = ns.missing.get(aspect) ?? "";
    if (wanted.length > 0) tally.unknown.push({ at: ns.place, what: what.kind, why });
    return;
  }
  comparePieces(
    ns.place,
    what,
    // `what.kind` names the claims' kind, so their state is what `what` reads.
    wanted.map((claim) => ({
      owner: claim.owner,
      state: claim.state as unknown as S,
      optional: claim.optional === true,
    })),
    actual(),
    { file: `${ns.dir}/${file}`, line: 1 },
    tally,
  );
}

/** Lays the claims on one namespace beside it. */
export function compareNamespace(
  ns: Namespace,
  claims: readonly Claim[],
  peerOf: (link: Link) => string | undefined,
  lineOf: (source: Source) => string,
  tally: Tally,
): void {
  pieces(ns, LINKS, claims, ["addr"], "addr.json", () => actualLinks(ns, peerOf), tally);
  pieces(ns, ADDRESSES, claims, ["addr"], "addr.json", () => actualAddresses(ns), tally);
  pieces(ns, ROUTES, claims, ["route4", "route6"], "route4.json", () => actualRoutes(ns), tally);
  pieces(ns, RULE_LOOKUPS, claims, ["rule4", "rule6"], "rule4.json", () => actualRuleLookups(ns), tally);
  pieces(ns, NEIGHBOURS, claims, ["neigh"], "neigh.json", () => actualNeighbours(ns), tally);
  pieces(ns, FDB, claims, ["fdb"], "fdb.json", () => actualFdb(ns), tally);
  compareSysctls(ns, claims, tally);
  const renames = compareSets(ns, claims, lineOf, tally);
  compareXtables(ns, claims, renames, tally);
  compareNftables(ns, claims, lineOf, tally);
}

/** A claim's state as a record; a rule brings the chain that it should stand in. */
function claimPiece(claim: Claim): Piece {
  return claim.kind === "rule" ? { ...claim.chain, rule: claim.state } : { ...claim.state };
}

/** What to leave out of a comparison. */
export interface DiffOptions {
  /** Only these machines; all nodes of the cluster when not given. */
  nodes?: readonly string[];
  onProgress?: (progress: { done: number; total: number; place: string }) => void;
}

/**
 * Compares every namespace of the cluster's nodes with what the networks intend from the cluster's objects and the nodes'
 * configuration. Machines beyond the cluster (routers, hosts outside, a control plane that is no node) are not compared.
 * Throws IntentError when a network's configuration makes no sense.
 */
export function diff(snapshot: Snapshot, options: DiffOptions = {}): Diff {
  const site = siteOf(snapshot);
  const tally = new Tally();
  const nodes = nodesOf(site).filter((machine) => options.nodes?.includes(machine.name) !== false);
  nodes.forEach((machine, i) => {
    const byPlace = new Map<string, Claim[]>();
    const namespaces = snapshot.namespaces.filter((ns) => ns.node === machine.name);
    for (const claim of intentOf(site, machine, namespaces)) {
      const list = byPlace.get(claim.at);
      if (list === undefined) byPlace.set(claim.at, [claim]);
      else list.push(claim);
    }
    const pairs = vethPeers(machine);
    for (const ns of namespaces) {
      // A pair within one namespace names its other end (cilium_host and cilium_net).
      const peerOf = (link: Link): string | undefined =>
        pairs.get(`${ns.place} ${link.name}`) ??
        (link.kind.kind === "veth" && link.peerNetnsId === null && link.lower !== null
          ? `${ns.place} ${link.lower}`
          : undefined);
      compareNamespace(ns, byPlace.get(ns.place) ?? [], peerOf, (source) => snapshot.line(source), tally);
      byPlace.delete(ns.place);
    }
    for (const [at, claims] of byPlace) {
      for (const claim of claims) {
        if (claim.optional === true) continue;
        tally.differs(claim.owner, at, claim.kind, claimPiece(claim), null, null);
      }
    }
    options.onProgress?.({ done: i + 1, total: nodes.length, place: machine.place });
  });
  return tally.result();
}
