/**
 * Calico's choice of its node's address (calico/node pkg/lifecycle/startup/autodetection: autodetection_methods.go, filtered.go,
 * interfaces.go, reachaddr.go).
 */
import { formatIp, inPrefix, parsePrefix, sameIp, type Ip, type Prefix } from "../../model/address.ts";
import { isGlobalUnicast, isLoopback, type HostView, type ViewLink } from "./host-view.ts";

export interface Detected {
  /** With the prefix length of the interface, `172.30.0.11/24`; null when none was found. */
  cidr: string | null;
  because: string;
  /** What calico-node logs; empty when there is an address. */
  error: string;
}

/** Interfaces that first-found and skip-interface never take (autodetection_linux.go). */
export const EXCLUDED: readonly string[] = [
  "^docker.*",
  "^cbr.*",
  "^dummy.*",
  "^virbr.*",
  "^lxcbr.*",
  "^veth.*",
  "^lo",
  "^cali.*",
  "^tunl.*",
  "^flannel.*",
  "^kube-ipvs.*",
  "^cni.*",
  "^vxlan\\.calico.*",
  "^vxlan-v6\\.calico.*",
  "^wireguard\\.cali.*",
  "^wg-v6\\.cali.*",
  "^nodelocaldns.*",
];

const cidrOf = (ip: Ip, len: number): string => `${formatIp(ip)}/${len}`;

class BadPattern extends Error {}

/** One pattern of several, each in brackets. Throws BadPattern when it is none. */
function anyOf(patterns: readonly string[]): RegExp | null {
  if (patterns.length === 0) return null;
  try {
    return new RegExp(`(${patterns.join(")|(")})`);
  } catch (error) {
    throw new BadPattern(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Interfaces by name, the last one of the machine first, as calico-node goes through them. */
function interfaces(view: HostView, include: readonly string[], exclude: readonly string[]): ViewLink[] {
  const wanted = anyOf(include);
  const unwanted = anyOf(exclude);
  return view.links
    .filter((link) => (wanted?.test(link.name) ?? true) && !(unwanted?.test(link.name) ?? false))
    .toReversed();
}

/** First global unicast address on those interfaces that lies in one of the ranges, when there are any (FilteredEnumeration). */
function enumerate(
  view: HostView,
  version: 4 | 6,
  include: readonly string[],
  exclude: readonly string[],
  ranges: readonly Prefix[] = [],
): { cidr: string; dev: string } | string {
  const links = interfaces(view, include, exclude);
  if (links.length === 0) return "no valid host interfaces found";
  for (const link of links)
    for (const { ip, prefixLen } of link.addresses)
      if (
        ip.v === version &&
        isGlobalUnicast(ip) &&
        (ranges.length === 0 || ranges.some((range) => inPrefix(ip, range)))
      )
        return { cidr: cidrOf(ip, prefixLen), dev: link.name };
  return `no valid IPv${version} addresses found on the host interfaces`;
}

/** Source address that the kernel takes towards `to`: that of the route, else the first address of its device. */
function sourceTowards(to: Ip, view: HostView): Ip | null {
  const best = view.routes
    .filter((route) => inPrefix(to, route.dst))
    .reduce<HostView["routes"][number] | null>(
      (a, b) => (a === null || b.dst.len > a.dst.len || (b.dst.len === a.dst.len && b.metric < a.metric) ? b : a),
      null,
    );
  if (view.links.some((link) => link.addresses.some((each) => sameIp(each.ip, to)))) return to;
  if (best === null) return null;
  if (best.prefSrc !== null) return best.prefSrc;
  const link = view.links.find((each) => each.name === best.dev);
  const usable = link?.addresses.filter((each) => each.ip.v === to.v && !isLoopback(each.ip)) ?? [];
  return (usable.find((each) => isGlobalUnicast(each.ip)) ?? usable[0])?.ip ?? null;
}

const split = (text: string): string[] => text.split(/\s*,\s*/);

/** What the detection needs besides the interfaces. */
export interface CalicoInput {
  /** `IP_AUTODETECTION_METHOD`, `IP6_AUTODETECTION_METHOD`; empty means first-found. */
  method: string;
  version: 4 | 6;
  /** InternalIPs of the Node object, for kubernetes-internal-ip; null outside Kubernetes. */
  internalIps: readonly string[] | null;
}

/** Detects the address of one family. `resolve` looks up the name of `can-reach=NAME`. Never throws. */
export function calicoAddress(
  input: CalicoInput,
  view: HostView,
  resolve: (name: string) => Ip | null = () => null,
): Detected {
  try {
    return detect(input, view, resolve);
  } catch (error) {
    if (!(error instanceof BadPattern)) throw error;
    return { cidr: null, because: "", error: `Invalid interface regex: ${error.message}` };
  }
}

function detect(
  { method, version, internalIps }: CalicoInput,
  view: HostView,
  resolve: (name: string) => Ip | null,
): Detected {
  const result = (found: { cidr: string; dev: string } | string, because: string, unable: string): Detected =>
    typeof found === "string"
      ? { cidr: null, because: "", error: `Unable to auto-detect an IPv${version} address${unable}: ${found}` }
      : { cidr: found.cidr, because: because.replace("DEV", found.dev), error: "" };
  if (method === "" || method === "first-found")
    return result(enumerate(view, version, [], EXCLUDED), "first-found: first valid address, on DEV", "");
  const [kind, value] = [method.slice(0, method.indexOf("=") + 1), method.slice(method.indexOf("=") + 1)];
  switch (kind) {
    case "interface=": {
      const patterns = split(value);
      return result(
        enumerate(view, version, patterns, []),
        `${method}: first valid address, on DEV`,
        ` using interface regexes [${patterns.join(" ")}]`,
      );
    }
    case "skip-interface=": {
      const patterns = split(value);
      return result(
        enumerate(view, version, [], [...EXCLUDED, ...patterns]),
        `${method}: first valid address, on DEV`,
        ` while excluding [${patterns.join(" ")}]`,
      );
    }
    case "cidr=": {
      const ranges: Prefix[] = [];
      for (const text of split(value)) {
        const range = parsePrefix(text);
        if (range === null || !text.includes("/"))
          return { cidr: null, because: "", error: `Invalid CIDR "${text}" for IP autodetection method: ${method}` };
        ranges.push(range);
      }
      return result(
        enumerate(view, version, [], [], ranges),
        `${method}: first valid address within, on DEV`,
        ` using interface cidr ${value}`,
      );
    }
    case "can-reach=":
      return reach(value, version, view, resolve);
  }
  if (!method.startsWith("kubernetes-internal-ip"))
    return { cidr: null, because: "", error: `Invalid IP autodetection method: ${method}` };
  if (internalIps === null)
    return {
      cidr: null,
      because: "",
      error: "Cannot use method 'kubernetes-internal-ip' when not running on a Kubernetes cluster",
    };
  const address = internalIps.find((ip) => ip.includes(":") === (version === 6));
  if (address === undefined)
    return { cidr: null, because: "", error: "Unable to parse CIDR  : invalid CIDR address: " };
  for (const link of interfaces(view, [], []))
    for (const { ip, prefixLen } of link.addresses)
      if (formatIp(ip) === address)
        return { cidr: cidrOf(ip, prefixLen), because: `InternalIP of the Node, on ${link.name}`, error: "" };
  // An address that no interface has stays without a length, and that is no CIDR.
  return { cidr: null, because: "", error: `Unable to parse CIDR ${address} : invalid CIDR address: ${address}` };
}

function reach(dest: string, version: 4 | 6, view: HostView, resolve: (name: string) => Ip | null): Detected {
  const unable = (why: string): Detected => ({
    cidr: null,
    because: "",
    error: `Unable to auto-detect IPv${version} address by connecting to ${dest}: ${why}`,
  });
  const to = parsePrefix(dest)?.ip ?? resolve(dest);
  if (to === null) return unable(`dial udp${version}: lookup ${dest}: no such host`);
  if (to.v !== version) return unable(`dial udp${version}: address ${dest}: no suitable address found`);
  const source = sourceTowards(to, view);
  if (source === null) return unable(`dial udp${version} [${dest}]:80: connect: network is unreachable`);
  for (const link of interfaces(view, [], []))
    for (const { ip, prefixLen } of link.addresses)
      if (sameIp(ip, source))
        return { cidr: cidrOf(ip, prefixLen), because: `source address towards ${dest}, on ${link.name}`, error: "" };
  return unable(
    `autodetected IPv${version} address does not match any addresses found on local interfaces: ${formatIp(source)}`,
  );
}
