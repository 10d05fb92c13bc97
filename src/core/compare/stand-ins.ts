/**
 * Names that are picked at random: the host's end of a pod's veth pair, MAC addresses, link-local addresses. Where the two snapshots have
 * such names for the same thing, one stand-in is laid in place of both, so that nothing that mentions them differs by that alone.
 */
import { formatIp, type Ip } from "../model/address.ts";
import type { Link } from "../model/link.ts";
import type { Namespace } from "../model/namespace.ts";
import type { PeerOf } from "../show/namespace.ts";
import type { State } from "./state.ts";

/** Replaces, in texts of one snapshot, the names that stand for the same as another name of the other. */
export interface StandIns {
  /** The text with stand-ins, as read in the namespace `place`. */
  text(place: string, text: string): string;
  /** Whether any name of `place` has a stand-in. */
  any(place: string): boolean;
}

/** Words that can be a device's name, a MAC address or an IPv6 address. */
const WORD = /[\w.:@-]+/g;

/** What a device is, whatever its name: the other end of a veth pair tells, when that is a pod's. */
function identity(ns: Namespace, link: Link, peerOf: PeerOf, podPlaces: ReadonlySet<string>): string {
  const peer = link.kind.kind === "veth" && ns.pod === null ? peerOf(ns.place, link.name) : null;
  return peer !== null && podPlaces.has(peer.at) ? `veth of ${peer.at} ${peer.dev}` : link.name;
}

interface Device {
  name: string;
  mac: string | null;
  linkLocal: string[];
  bridge: boolean;
}

const isLinkLocal = (ip: Ip): boolean => ip.v === 6 && (ip.a & 0xffc0_0000) >>> 0 === 0xfe80_0000;

function devicesOf(state: State, ns: Namespace, podPlaces: ReadonlySet<string>): Map<string, Device> {
  const found = new Map<string, Device>();
  for (const link of ns.links) {
    found.set(identity(ns, link, state.peerOf, podPlaces), {
      name: link.name,
      mac: link.mac,
      linkLocal: link.addresses.filter((each) => isLinkLocal(each.ip)).map((each) => formatIp(each.ip)),
      bridge: link.kind.kind === "bridge",
    });
  }
  return found;
}

/** Machines that own each MAC address: one that several have says more than its owner's name. */
function macOwners(state: State): Map<string, Set<string>> {
  const owners = new Map<string, Set<string>>();
  for (const ns of state.snapshot.namespaces) {
    for (const { mac } of ns.links) {
      if (mac === null) continue;
      const set = owners.get(mac);
      if (set === undefined) owners.set(mac, new Set([ns.place]));
      else set.add(ns.place);
    }
  }
  return owners;
}

class Words implements StandIns {
  private readonly devices = new Map<string, Map<string, string>>();
  private readonly everywhere = new Map<string, string>();

  device(place: string, name: string, standIn: string): void {
    const map = this.devices.get(place) ?? new Map<string, string>();
    this.devices.set(place, map);
    map.set(name, standIn);
  }

  word(word: string, standIn: string): void {
    if (!this.everywhere.has(word)) this.everywhere.set(word, standIn);
  }

  any(place: string): boolean {
    return this.everywhere.size > 0 || this.devices.has(place);
  }

  text(place: string, text: string): string {
    const devices = this.devices.get(place);
    if (devices === undefined && this.everywhere.size === 0) return text;
    return text.replaceAll(WORD, (word) => devices?.get(word) ?? this.everywhere.get(word) ?? word);
  }
}

/** The stand-ins of two snapshots, for the places and devices that both have. */
export function standInsOf(before: State, after: State): [StandIns, StandIns] {
  const sides = [new Words(), new Words()] as const;
  const owners = [macOwners(before), macOwners(after)] as const;
  const podPlaces = new Set(
    [before, after].flatMap((side) => side.snapshot.namespaces.filter((ns) => ns.pod !== null).map((ns) => ns.place)),
  );
  const others = new Map(after.snapshot.namespaces.map((ns) => [ns.place, ns]));
  for (const ns of before.snapshot.namespaces) {
    const other = others.get(ns.place);
    if (other === undefined) continue;
    const pairs = [devicesOf(before, ns, podPlaces), devicesOf(after, other, podPlaces)] as const;
    // Bridges last: one without an address of its own takes a port's, which then is that port's.
    const order = [...pairs[0]].toSorted(([, a], [, b]) => Number(a.bridge) - Number(b.bridge));
    for (const [what, a] of order) {
      const b = pairs[1].get(what);
      if (b === undefined) continue;
      if (a.name !== b.name) {
        sides[0].device(ns.place, a.name, what);
        sides[1].device(ns.place, b.name, what);
      }
      if (a.mac !== null && b.mac !== null && a.mac !== b.mac) {
        for (const [i, mac] of [a.mac, b.mac].entries())
          if (owners[i]!.get(mac)?.size === 1) sides[i]!.word(mac, `address of ${ns.place} ${what}`);
      }
      const [x, y] = [a.linkLocal, b.linkLocal];
      if (x.length === 1 && y.length === 1 && x[0] !== y[0]) {
        sides[0].word(x[0]!, `link-local address of ${ns.place} ${what}`);
        sides[1].word(y[0]!, `link-local address of ${ns.place} ${what}`);
      }
    }
  }
  return [sides[0], sides[1]];
}
