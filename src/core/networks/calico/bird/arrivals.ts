/** What comes to a node of the others: its sessions followed back, each route with the session that it came by last. */
import { formatIp, formatPrefix, inPrefix, parseIp, type Prefix } from "../../../model/address.ts";
import type { Machine, Site } from "../../site.ts";
import { feet } from "../next-hop.ts";
import { oncePer } from "../../once.ts";
import { birdInputs, nodesByAddress, type BirdInput } from "./input.ts";
import { originated } from "./origin.ts";
import type { BirdPeer } from "./peers.ts";
import { machineAt } from "./sessions.ts";
import { bgpNodes, type BgpNode } from "./settings.ts";
import { asOf, crosses, enters, leaves, OUTSIDE_PREFERENCE, type Travelling } from "./travelling.ts";

export interface Arrived {
  route: Travelling;
  /** Name of the protocol in the node's BIRD. */
  session: string;
}

/** The other end of a session with a node; null when it is none, or does not answer. */
function answering(site: Site, to: BirdInput, back: BirdPeer): { from: BirdInput; peer: BirdPeer } | null {
  const name = nodesByAddress(site.cluster).get(back.address)?.name;
  const from = name === undefined ? null : birdInputs(site.cluster)(name, to.family);
  const peer = from?.peerAt(to.node.address[to.family] ?? "") ?? null;
  if (from === null || peer === null) return null;
  const agreed = peer.as === asOf(to, back) && back.as === asOf(from, peer) && !(peer.passive && back.passive);
  return agreed ? { from, peer } : null;
}

/** Whether all nodes of a cluster are of one AS. */
const areOneAs = oncePer((nodes: readonly BgpNode[]) => new Set(nodes.map(({ as }) => as)).size <= 1);

/** Whether the node may pass on what it learned: as a reflector, or between ASes. Others tell within their AS only of their own. */
function passesOn(from: BirdInput, peer: BirdPeer): boolean {
  if (from.node.cluster !== null || peer.as !== asOf(from, peer)) return true;
  if (from.explicit.some((each) => each.as !== asOf(from, each))) return true;
  return from.settings.mesh && !areOneAs(from.nodes);
}

/**
 * Everything that a node has of the others. Nodes in `near` are reached in fewer steps, so what comes of them this way is never better:
 * they are not asked again.
 */
export function arrivals(site: Site, to: BirdInput, near: ReadonlySet<string>): Arrived[] {
  const sources = to.peers().flatMap((back) => {
    const found = answering(site, to, back);
    return found === null || near.has(found.from.node.name) ? [] : [{ back, ...found }];
  });
  const known = new Set([...near, ...sources.map(({ from }) => from.node.name)]);
  const isAll = known.size >= to.nodes.length;
  return sources.flatMap(({ back, from, peer }) => {
    const learned = !isAll && passesOn(from, peer) ? arrivals(site, from, known) : [];
    return [...originated(from), ...learned.map(({ route }) => route)].flatMap((route): Arrived[] => {
      const left = leaves(route, from, peer);
      const crossed = left === null ? null : crosses(left, from, peer, to, back);
      const entered = crossed === null ? null : enters(crossed, to, back);
      return entered === null ? [] : [{ route: entered, session: back.name }];
    });
  });
}

/** Which next hop a router names for a route that a node told it: that node where all three stand in one subnet (RFC 4271, section 5.1.3). */
function nextHopFrom(to: BirdInput, back: BirdPeer, from: BirdInput): string {
  const subnet = to.node.subnet[to.family];
  const [router, node] = [parseIp(back.address), parseIp(from.node.address[to.family] ?? "")];
  const together =
    subnet !== null && router !== null && inPrefix(router, subnet) && node !== null && inPrefix(node, subnet);
  return together ? formatIp(node) : back.address;
}

/** A route as a router beyond the cluster may tell it. */
function told(
  to: BirdInput,
  back: BirdPeer,
  prefix: Prefix,
  origin: string,
  nextHop: string,
  asPath: readonly number[],
): Arrived[] {
  if (asPath.filter((as) => as === asOf(to, back)).length > back.allowLocalAs) return [];
  const route: Travelling = {
    prefix,
    origin,
    nextHop,
    preference: OUTSIDE_PREFERENCE,
    asPath,
    clusters: [],
    neighbour: back.address,
    internally: back.as === asOf(to, back),
    certain: false,
  };
  const entered = enters(route, to, back);
  return entered === null ? [] : [{ route: entered, session: back.name }];
}

/** What routers beyond the cluster may tell: the networks that they stand in, and what other nodes told them. Nothing of it is certain. */
export function arrivalsOfRouters(site: Site, machine: Machine, to: BirdInput): Arrived[] {
  const mine = feet(machine, to.family).map((foot) => formatPrefix(foot.subnet));
  const isNode = (address: string): boolean => nodesByAddress(site.cluster).has(address);
  return to.explicit.flatMap((back): Arrived[] => {
    if (isNode(back.address)) return [];
    const router = machineAt(site, back.address);
    const networks = (router === null ? [] : feet(router, to.family))
      .map((foot) => foot.subnet)
      .filter((subnet) => !mine.includes(formatPrefix(subnet)));
    const others = bgpNodes(site.cluster).flatMap(({ name }) => {
      const from = name === to.node.name ? null : birdInputs(site.cluster)(name, to.family);
      const peer = from?.explicit.find((each) => !isNode(each.address) && each.as === back.as);
      if (from === null || peer === undefined) return [];
      return originated(from).flatMap((route) => {
        const left = leaves(route, from, peer);
        return left === null
          ? []
          : told(to, back, left.prefix, name, nextHopFrom(to, back, from), [back.as, asOf(from, peer)]);
      });
    });
    return [...networks.flatMap((subnet) => told(to, back, subnet, router!.name, back.address, [back.as])), ...others];
  });
}
