/**
 * A host that is known by one address of its own and reaches the network by BGP to several routers, as RFC 7938 has it for data centres:
 * what is told of such a host, from which its BIRD's configuration and its kernel's state follow.
 */
import { parseIp, parsePrefix } from "../../model/address.ts";

export interface Uplink {
  dev: string;
  /** The host's own address there, with length: `172.20.236.225/31`. */
  address: string;
  /** The router at the other end. */
  router: string;
  /** Its AS. */
  as: number;
}

/** Another speaker on the same host, Calico's: its routes are passed on to the routers, so that these have one session to accept. */
export interface Behind {
  address: string;
  port: number;
  as: number;
  /** Ranges that it may announce. */
  prefixes: string[];
}

export interface HostBird {
  /** Place of the host's root namespace. */
  place: string;
  /** The host's own AS, a private one. */
  as: number;
  /** Addresses that the host is known by, on lo: `192.0.2.11/32`. The first of a family is the source of what it sends. */
  services: string[];
  uplinks: Uplink[];
  /** What the routers tell; the default routes when not said. */
  learned?: string[];
  /** Kernel table that BIRD writes; 254, main, when not said. With a table of its own it leaves main to others. */
  table?: number;
  /** Priority of the first of the two rules that lead to a table of its own; 1000 when not said. */
  priority?: number;
  behind?: Behind | null;
}

/** A host whose description makes no sense; `message` says why. */
export class HostBirdError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "HostBirdError";
  }
}

/** The family of an address or prefix. Throws HostBirdError for anything else. */
export function familyOf(text: string): 4 | 6 {
  const ip = parsePrefix(text)?.ip ?? null;
  if (ip === null) throw new HostBirdError(`${text} is no address`);
  return ip.v;
}

/** The families in which the host has a service address and an uplink. */
export function families(host: HostBird): (4 | 6)[] {
  const has = (family: 4 | 6): boolean =>
    host.services.some((each) => familyOf(each) === family) &&
    host.uplinks.some((each) => familyOf(each.router) === family);
  return ([4, 6] as const).filter(has);
}

/** What the routers tell of a family. */
export function learnedOf(host: HostBird, family: 4 | 6): string[] {
  return host.learned?.filter((each) => familyOf(each) === family) ?? [family === 4 ? "0.0.0.0/0" : "::/0"];
}

/** An address without its length. */
export function bare(address: string): string {
  return address.split("/", 1)[0]!;
}

/** Checks a description. Throws HostBirdError when it makes no sense. */
export function checkHost(host: HostBird): void {
  if (host.services.length === 0) throw new HostBirdError("the host needs an address of its own");
  if (host.uplinks.length === 0) throw new HostBirdError("the host needs an uplink");
  for (const service of host.services) {
    const prefix = parsePrefix(service);
    if (prefix === null || prefix.len !== (prefix.ip.v === 4 ? 32 : 128))
      throw new HostBirdError(`${service} should be a single address, such as 192.0.2.11/32`);
  }
  for (const { dev, address, router, as } of host.uplinks) {
    const [subnet, ip] = [parsePrefix(address), parseIp(router)];
    if (subnet === null || ip === null || subnet.ip.v !== ip.v)
      throw new HostBirdError(`${dev}: ${address} and ${router} should be addresses of one family`);
    if (as === host.as)
      throw new HostBirdError(`${dev}: the router's AS ${as} is the host's own, and RFC 7938 asks for another`);
  }
}
