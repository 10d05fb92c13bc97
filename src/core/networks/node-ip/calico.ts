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
  /** Why there is none; empty when there is an address. */
  error: string;
}

const nothing = (error: string): Detected => ({ cidr: null, because: "", error });

/** Interfaces that first-found and skip-interface never take (autodetection_linux.go). */
const EXCLUDED: readonly string[] = [
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
  if (links.length === 0) return "there is no such interface";
  for (const link of links)
    for (const { ip, prefixLen } of link.addresses)
      if (
        ip.v === version &&
        isGlobalUnicast(ip) &&
        (ranges.length === 0 || ranges.some((range) => inPrefix(ip, range)))
      )
        return { cidr: cidrOf(ip, prefixLen), dev: link.name };
  return "no such interface has one";
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
    return nothing(`${input.method} is no regular expression: ${error.message}`);
  }
}

/** An address of one of these interfaces, `METHOD: WHICH, on DEV`; else why there is none. */
function enumerated(
  { method, version }: CalicoInput,
  view: HostView,
  choice: { include?: readonly string[]; exclude?: readonly string[]; ranges?: readonly Prefix[] },
): Detected {
  const { include = [], exclude = [], ranges = [] } = choice;
  const found = enumerate(view, version, include, exclude, ranges);
  const name = method === "" ? "first-found" : method;
  if (typeof found === "string") return nothing(`${name} finds no IPv${version} address: ${found}`);
  const which = ranges.length > 0 ? "first address that will do within" : "first address that will do";
  return { cidr: found.cidr, because: `${name}: ${which}, on ${found.dev}`, error: "" };
}

function detect(input: CalicoInput, view: HostView, resolve: (name: string) => Ip | null): Detected {
  const { method, version, internalIps } = input;
  if (method === "" || method === "first-found") return enumerated(input, view, { exclude: EXCLUDED });
  const [kind, value] = [method.slice(0, method.indexOf("=") + 1), method.slice(method.indexOf("=") + 1)];
  switch (kind) {
    case "interface=":
      return enumerated(input, view, { include: split(value) });
    case "skip-interface=":
      return enumerated(input, view, { exclude: [...EXCLUDED, ...split(value)] });
    case "cidr=": {
      const ranges: Prefix[] = [];
      for (const text of split(value)) {
        const range = parsePrefix(text);
        if (range === null || !text.includes("/")) return nothing(`${method}: "${text}" is no range`);
        ranges.push(range);
      }
      return enumerated(input, view, { ranges });
    }
    case "can-reach=":
      return reach(value, version, view, resolve);
  }
  if (!method.startsWith("kubernetes-internal-ip")) return nothing(`${method} is no way to find an address`);
  if (internalIps === null) return nothing(`${method} needs a Node object, and there is none`);
  const address = internalIps.find((ip) => ip.includes(":") === (version === 6));
  if (address === undefined) return nothing(`${method}: the Node has no IPv${version} InternalIP`);
  for (const link of interfaces(view, [], []))
    for (const { ip, prefixLen } of link.addresses)
      if (formatIp(ip) === address)
        return { cidr: cidrOf(ip, prefixLen), because: `InternalIP of the Node, on ${link.name}`, error: "" };
  // Without an interface there is no length, and calico-node takes nothing without one.
  return nothing(`${method}: no interface has the Node's InternalIP ${address}`);
}

function reach(dest: string, version: 4 | 6, view: HostView, resolve: (name: string) => Ip | null): Detected {
  const unable = (why: string): Detected => nothing(`can-reach=${dest} finds no IPv${version} address: ${why}`);
  const to = parsePrefix(dest)?.ip ?? resolve(dest);
  if (to === null) return unable("the name has no address");
  if (to.v !== version) return unable("it is of the other family");
  const source = sourceTowards(to, view);
  if (source === null) return unable("no route leads there");
  for (const link of interfaces(view, [], []))
    for (const { ip, prefixLen } of link.addresses)
      if (sameIp(ip, source))
        return { cidr: cidrOf(ip, prefixLen), because: `source address towards ${dest}, on ${link.name}`, error: "" };
  return unable(`no interface has the source address ${formatIp(source)}`);
}
