/** Single values of network configuration, checked. */
import { formatIp, inPrefix, parseIp, parsePrefix } from "../../model/address.ts";
import type { Source } from "../../model/source.ts";
import type { DesiredProblem, DesiredState } from "./desired.ts";

/** Collects what is wrong. */
export class Problems {
  readonly list: DesiredProblem[] = [];

  impossible(text: string, source: Source): null {
    this.list.push({ kind: "impossible", text, source });
    return null;
  }

  doubtful(text: string, source: Source): void {
    this.list.push({ kind: "doubtful", text, source });
  }
}

const familyName = (family: 4 | 6): string => `IPv${family}`;

/** An address of a family in its usual form; null, and a problem in NetworkManager's words, when it is none. */
export function addressOf(text: string, family: 4 | 6, source: Source, problems: Problems): string | null {
  const ip = text.includes("%") ? null : parseIp(text);
  if (ip?.v !== family) return problems.impossible(`Invalid ${familyName(family)} address '${text}'`, source);
  return formatIp(ip);
}

/** A prefix length of a family; null and a problem when it is out of range. */
export function lengthOf(text: string, family: 4 | 6, source: Source, problems: Problems): number | null {
  const most = family === 4 ? 32 : 128;
  if (/^\d{1,3}$/.test(text) && Number(text) <= most) return Number(text);
  return problems.impossible(
    `Invalid prefix length '${text}' of an ${familyName(family)} address: it is 0 to ${most}`,
    source,
  );
}

/** A destination `10.0.0.0/8`, host bits cleared; null and a problem when it is none. */
export function destinationOf(text: string, source: Source, problems: Problems): string | null {
  const prefix = parsePrefix(text);
  if (prefix === null) return problems.impossible(`Invalid destination '${text}' of a route`, source);
  return `${formatIp(prefix.ip)}/${prefix.len}`;
}

/** A whole number within bounds. */
export function integerOf(
  text: string,
  what: string,
  [least, most]: readonly [number, number],
  source: Source,
  problems: Problems,
): number | null {
  const value = Number(text);
  if (/^-?\d+$/.test(text) && value >= least && value <= most) return value;
  return problems.impossible(`Invalid ${what} '${text}': it is ${least} to ${most}`, source);
}

/** `02:00:00:00:00:01` in lower case. */
export function macOf(text: string, source: Source, problems: Problems): string | null {
  if (/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(text)) return text.toLowerCase().replaceAll("-", ":");
  return problems.impossible(`Invalid MAC address '${text}'`, source);
}

/** MTUs that Linux takes of a device: 68 is the least that IPv4 can use (RFC 791). */
export const MTU_RANGE = [68, 65535] as const;
/** 802.1Q. */
export const VLAN_RANGE = [0, 4095] as const;

/**
 * What single values do not tell: next hops that no network of their device holds, an address that is its network's own or its
 * broadcast address, one address on two devices.
 */
export function crossCheck(state: DesiredState, problems: Problems): void {
  const owners = new Map<string, string>();
  for (const link of state.links) {
    if (link.state.value !== "up") continue;
    for (const { value, source } of [...link.ipv4.addresses, ...link.ipv6.addresses]) {
      const [address = ""] = value.split("/");
      const owner = owners.get(address);
      if (owner !== undefined && owner !== link.name)
        problems.doubtful(`${address} is asked for on ${owner} and on ${link.name}`, source);
      owners.set(address, link.name);
      const network = parsePrefix(value);
      const ip = parseIp(address);
      if (ip === null || network === null || ip.v === 6 || network.len > 30) continue;
      const host = ip.a & ((1 << (32 - network.len)) - 1);
      if (network.len > 0 && host === 0) problems.doubtful(`${value} is the network's own address`, source);
      else if (network.len > 0 && host === (1 << (32 - network.len)) - 1)
        problems.doubtful(`${value} is the network's broadcast address`, source);
    }
  }
  for (const route of state.routes) {
    const via = route.via === null ? null : parseIp(route.via);
    const link = state.links.find((each) => each.name === route.dev);
    if (via === null || route.absent || link === undefined) continue;
    const family = via.v === 4 ? link.ipv4 : link.ipv6;
    const networks = family.addresses.map((each) => parsePrefix(each.value)).filter((each) => each !== null);
    // Link-local next hops need no network; one of DHCP's may hold the rest.
    if (family.dynamic || networks.length === 0 || formatIp(via).startsWith("fe80:")) continue;
    if (!networks.some((network) => inPrefix(via, network)))
      problems.doubtful(
        `The next hop ${formatIp(via)} is in no network of ${link.name}: ${family.addresses.map((each) => each.value).join(", ")}`,
        route.source,
      );
  }
}
