/** Which nodes a node learns routes of: by the mesh, as peers, through reflectors, or through routers beyond the cluster. */
import { formatIp, parseIp, type Ip } from "../../model/address.ts";
import type { BgpSettings } from "./bgp-settings.ts";
import type { CalicoNode } from "./calico-node.ts";
import { oncePer } from "./once.ts";

export interface Learned {
  /** Whether routes come from another AS, so that they carry no local preference. */
  external: boolean;
  /** Routers that stand between, all equally good; none when routes lead to the node itself. */
  via: Ip[];
}

type Nodes = ReadonlyMap<string, CalicoNode>;

/** A node's peer beyond the cluster. */
interface Router {
  ip: Ip;
  /** How often the node's own AS may stand in the path of what it tells. */
  ownAsAllowed: number;
}

/** Sessions that BGPPeers make: of each node those with other nodes, and its peers beyond the cluster. */
interface Sessions {
  with: ReadonlyMap<string, ReadonlySet<string>>;
  routers: ReadonlyMap<string, readonly Router[]>;
}

function sessionsOf(nodes: Nodes, settings: BgpSettings): Sessions {
  const sessions = new Map([...nodes.keys()].map((name) => [name, new Set<string>()]));
  const routers = new Map([...nodes.keys()].map((name) => [name, new Array<Router>()]));
  const byAddress = new Map<string, CalicoNode>();
  for (const node of nodes.values())
    for (const address of [node.address[4], node.address[6]]) if (address !== null) byAddress.set(address.text, node);
  for (const peering of settings.peerings) {
    const ip = parseIp(peering.address ?? "");
    const there = ip === null ? undefined : byAddress.get(formatIp(ip));
    const { to } = peering;
    const others =
      to === null
        ? [there].filter((each) => each !== undefined)
        : [...nodes.values()].filter((each) => to(each.labels));
    for (const from of nodes.values()) {
      if (!peering.from(from)) continue;
      for (const other of others) {
        if (other.name === from.name) continue;
        sessions.get(from.name)?.add(other.name);
        sessions.get(other.name)?.add(from.name);
      }
      if (to === null && ip !== null && there === undefined)
        routers.get(from.name)?.push({ ip, ownAsAllowed: peering.ownAsAllowed });
    }
  }
  return { with: sessions, routers };
}

/** Sessions of a cluster's nodes; the mesh and the peers are the same for all of its machines. */
const sessionsFor = oncePer((nodes: Nodes) => {
  let known: Sessions | null = null;
  return (settings: BgpSettings) => (known ??= sessionsOf(nodes, settings));
});

const asOf = (node: CalicoNode, settings: BgpSettings): number => node.asNumber ?? settings.asNumber;

/** Reflectors are not part of the mesh. */
const inMesh = (node: CalicoNode, settings: BgpSettings): boolean => settings.mesh && node.reflectorCluster === null;

/**
 * Whether a node passes on to `to` what it learned of `from`: always between different ASes; within one only as a reflector, whose peers
 * are its clients unless they are reflectors of its own cluster, and these drop what went through the cluster already (RFC 4456).
 */
function passesOn(by: CalicoNode, from: CalicoNode, to: CalicoNode, settings: BgpSettings): boolean {
  const as = asOf(by, settings);
  if (asOf(from, settings) !== as || asOf(to, settings) !== as) return true;
  return by.reflectorCluster !== null && to.reflectorCluster !== by.reflectorCluster;
}

/** The nodes whose routes come to `own` over sessions between nodes: it asks back, from each session to those before it. */
function overSessions(own: CalicoNode, nodes: Nodes, sessions: Sessions, settings: BgpSettings): Set<string> {
  const mesh = [...nodes.values()].filter((node) => inMesh(node, settings));
  const oneAs = new Set(mesh.map((node) => asOf(node, settings))).size === 1;
  const peersOf = (node: CalicoNode): CalicoNode[] => [
    ...(inMesh(node, settings) ? mesh.filter((each) => each.name !== node.name) : []),
    ...[...(sessions.with.get(node.name) ?? [])].map((name) => nodes.get(name)).filter((each) => each !== undefined),
  ];
  const found = new Set<string>();
  const seen = new Set<string>();
  // Each pair: a node that tells, and whom it tells.
  const open = peersOf(own).map((teller) => ({ teller, told: own }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { teller, told } = next;
    const key = `${teller.name} ${told.name}`;
    if (teller.name === own.name || seen.has(key)) continue;
    seen.add(key);
    found.add(teller.name);
    // In a mesh of one AS nobody passes on what others told, so these many sessions need not be looked at.
    if (oneAs && inMesh(teller, settings) && sessions.with.get(teller.name)?.size === 0) continue;
    for (const before of peersOf(teller)) {
      if (before.name !== told.name && passesOn(teller, before, told, settings))
        open.push({ teller: before, told: teller });
    }
  }
  return found;
}

/** The other nodes of which `own` learns routes. */
export function learnedFrom(own: CalicoNode, nodes: Nodes, settings: BgpSettings): Map<string, Learned> {
  const sessions = sessionsFor(nodes)(settings);
  const reached = overSessions(own, nodes, sessions, settings);
  const found = new Map<string, Learned>();
  for (const origin of nodes.values()) {
    if (origin.name === own.name) continue;
    const external = asOf(origin, settings) !== asOf(own, settings);
    if (reached.has(origin.name)) {
      found.set(origin.name, { external, via: [] });
      continue;
    }
    if ((sessions.routers.get(origin.name) ?? []).length === 0) continue;
    // Routers tell it on: what comes from the own AS is refused unless that may stand in the path all the same.
    const tellers = (sessions.routers.get(own.name) ?? []).filter(({ ownAsAllowed }) => external || ownAsAllowed > 0);
    if (tellers.length > 0) found.set(origin.name, { external: true, via: tellers.map(({ ip }) => ip) });
  }
  return found;
}
