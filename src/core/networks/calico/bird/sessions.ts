/** Which BGP sessions follow from the cluster's objects: between nodes, and between nodes and routers beyond the cluster. */
import { formatIp, parseIp } from "../../../model/address.ts";
import type { Machine, Site } from "../../site.ts";
import { birdInputs, nodesByAddress, type BirdInput } from "./input.ts";
import type { BirdPeer } from "./peers.ts";
import { bgpNodes } from "./settings.ts";

/** One end of a session. */
export interface SessionEnd {
  /** Name of the machine; null when none that was recorded has the address. */
  machine: string | null;
  address: string;
  as: number;
  /** Whether it waits for the other to connect. */
  passive: boolean;
  /** The protocol in its BIRD; null when it is none of Calico's, or has no such peer. */
  protocol: string | null;
}

export interface BgpSession {
  family: 4 | 6;
  /** The end whose name, or address, comes first; routers beyond the cluster come last. */
  ends: [SessionEnd, SessionEnd];
  /** Whether both are of one AS. */
  internal: boolean;
  /** What asks for it: `mesh`, `BGPPeer tor-1`. */
  from: string[];
  /** Why it cannot come up, as far as these objects tell; null when nothing speaks against it. */
  problem: string | null;
}

/** The machine that has the address on one of its own devices; null when none was recorded. */
export function machineAt(site: Site, address: string): Machine | null {
  const has = (text: string): boolean => {
    const ip = parseIp(text.split("/", 1)[0] ?? "");
    return ip !== null && formatIp(ip) === address;
  };
  return site.machines.find((machine) => machine.devices.some((device) => device.addresses.some(has))) ?? null;
}

const numberOf = (input: BirdInput, peer: BirdPeer): number => peer.localAs ?? input.node.as;

function end(input: BirdInput, address: string, peer: BirdPeer): SessionEnd {
  return { machine: input.node.name, address, as: numberOf(input, peer), passive: peer.passive, protocol: peer.name };
}

function problemOf(near: SessionEnd, far: SessionEnd, wanted: number, back: BirdPeer | null): string | null {
  const [name, other] = [near.machine ?? near.address, far.machine ?? far.address];
  if (back === null) return `${other} has no peer ${near.address}, so it refuses ${name}`;
  if (wanted !== far.as) return `${name} takes ${other} for AS ${wanted}, and it is AS ${far.as}`;
  if (back.as !== near.as) return `${other} takes ${name} for AS ${back.as}, and it is AS ${near.as}`;
  return near.passive && far.passive ? `${name} and ${other} both wait for the other to connect` : null;
}

/** A session as one of its ends is told to have it. */
function sessionOf(site: Site, input: BirdInput, peer: BirdPeer): BgpSession {
  const { family, node } = input;
  const address = node.address[family] ?? "";
  const near = end(input, address, peer);
  const name = nodesByAddress(site.cluster).get(peer.address)?.name ?? null;
  const other = name === null ? null : birdInputs(site.cluster)(name, family);
  const internal = near.as === peer.as;
  if (other === null) {
    const machine = machineAt(site, peer.address)?.name ?? null;
    const far: SessionEnd = { machine, address: peer.address, as: peer.as, passive: false, protocol: null };
    return { family, ends: [near, far], internal, from: [peer.from], problem: null };
  }
  const back = other.peerAt(address);
  const far: SessionEnd =
    back === null
      ? { machine: name, address: peer.address, as: other.node.as, passive: false, protocol: null }
      : end(other, peer.address, back);
  const problem = problemOf(near, far, peer.as, back);
  const from = [...new Set([peer.from, ...(back === null ? [] : [back.from])])].toSorted();
  return { family, ends: node.name < other.node.name ? [near, far] : [far, near], internal, from, problem };
}

/** Every BGP session of Calico's BIRDs, of both families. */
export function bgpSessions(site: Site): BgpSession[] {
  const found = new Map<string, BgpSession>();
  for (const family of [4, 6] as const) {
    for (const { name } of bgpNodes(site.cluster)) {
      const input = birdInputs(site.cluster)(name, family);
      if (input === null) continue;
      for (const peer of input.peers()) {
        const session = sessionOf(site, input, peer);
        const key = session.ends.map(({ address }) => address).join(" ");
        if (!found.has(key)) found.set(key, session);
      }
    }
  }
  return [...found.values()];
}
