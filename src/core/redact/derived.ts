/**
 * Names that programs make of other names: kube-proxy's chains, Calico's devices, the MAC addresses of Calico's tunnels. They become what the
 * program would have made of the replacements, so that what is intended still is what is there.
 */
import { chainName, hostDeviceName, vtepMac } from "../networks/calico/names.ts";
import { shortHash } from "../networks/kube-proxy/iptables/names.ts";

/** Prefixes of Calico's chains of an endpoint's device: to, from, both for the host's own, ARP. */
const DEVICE_CHAINS = ["cali-tw-", "cali-fw-", "cali-sm-", "cali-to-hep-", "cali-fh-", "cali-arp-"] as const;
/** In nftables a chain's name begins with its table's in iptables (felix/nftables/layer.go). */
const LAYERS = ["", "filter-", "mangle-", "nat-", "raw-"] as const;
/** Chains of profiles: inbound, outbound. */
const PROFILE_CHAINS = ["cali-pri-", "cali-pro-"] as const;
const PROFILES = ["kns.", "ksa."] as const;

/** Adds Calico's names of a pod. */
export function addPod(words: Map<string, string>, pod: [namespace: string, name: string], by: [string, string]): void {
  const [device, other] = [hostDeviceName("cali", ...pod), hostDeviceName("cali", ...by)];
  words.set(device, other);
  for (const prefix of DEVICE_CHAINS)
    for (const layer of LAYERS) words.set(layer + chainName(prefix, device), layer + chainName(prefix, other));
}

/** Adds Calico's names of a Kubernetes namespace. */
export function addNamespace(words: Map<string, string>, name: string, by: string): void {
  for (const chain of PROFILE_CHAINS)
    for (const profile of PROFILES)
      for (const layer of LAYERS)
        words.set(layer + chainName(chain, profile + name), layer + chainName(chain, profile + by));
}

/** Beginnings of Calico's devices that rules tell apart, `cali3` of `-i cali3+`: Felix sorts packets by them (rules/dispatch.go). */
export function deviceWildcards(save: string, found: Set<string>): void {
  for (const [, beginning] of save.matchAll(/ -[io] (cali[\da-f]+)\+/g)) found.add(beginning!);
}

/** A rule of Calico's for one device, or those with one beginning, in a chain that leads each to its own: the chain, the device. */
const DISPATCH = /^(?:\[\d+:\d+\] )?-A (cali-\S+) (?:\S+ \S+ )?-[io] (cali[\da-f]{11}|cali[\da-f]+\+) /;

interface DispatchRule {
  line: string;
  chain: string;
  device: string;
}

function dispatchRule(line: string | undefined): DispatchRule | null {
  const [, chain, device] = (line !== undefined && DISPATCH.exec(line)) || [];
  return line === undefined || chain === undefined || device === undefined
    ? null
    : { line, chain, device: device.replace("+", "") };
}

/** Sorted by their devices; as they were when one device begins as another, so that a packet could meet two. */
function sorted(rules: readonly DispatchRule[]): readonly DispatchRule[] {
  const order = rules.toSorted((a, b) => (a.device < b.device ? -1 : 1));
  return order.some(({ device }, i) => i > 0 && device.startsWith(order[i - 1]!.device)) ? rules : order;
}

/**
 * A save of iptables with neighbouring rules for single devices of Calico's sorted by them, as Felix sorts them. No packet has two such
 * devices, so their order decides nothing; it would tell that the devices once had other names.
 */
export function sortedDispatch(save: string): string {
  const lines: string[] = [];
  let group: DispatchRule[] = [];
  const end = (): void => {
    for (const { line } of sorted(group)) lines.push(line);
    group = [];
  };
  for (const line of save.split("\n")) {
    const rule = dispatchRule(line);
    if (rule === null || rule.chain !== group[0]?.chain) end();
    if (rule === null) lines.push(line);
    else group.push(rule);
  }
  end();
  return lines.join("\n");
}

/** Whether a pod's device begins as before, as far as any rule looks. */
export function keepsBeginning(
  wildcards: ReadonlySet<string>,
  pod: [namespace: string, name: string],
  by: [string, string],
): boolean {
  if (wildcards.size === 0) return true;
  const [device, other] = [hostDeviceName("cali", ...pod), hostDeviceName("cali", ...by)];
  for (const each of wildcards) if (device.startsWith(each) !== other.startsWith(each)) return false;
  return true;
}

/** Adds the MAC addresses of Calico's VXLAN devices of a node. */
export function addNode(words: Map<string, string>, name: string, by: string): void {
  for (const family of [4, 6] as const) words.set(vtepMac(name, family), vtepMac(by, family));
}

/** Longest name of a device (IFNAMSIZ, with its end). */
const LONGEST_DEVICE = 15;

/** Adds devices that are named after something, such as a bridge's port after the node behind it. */
export function addDevices(
  words: Map<string, string>,
  devices: ReadonlySet<string>,
  nameOf: (text: string) => string,
): void {
  const taken = new Set(devices);
  for (const device of [...devices].toSorted()) {
    const by = nameOf(device);
    if (by === device) continue;
    let name = by.slice(0, LONGEST_DEVICE);
    for (let n = 1; taken.has(name) || by.length > LONGEST_DEVICE; n++) {
      name = `${by.slice(0, LONGEST_DEVICE - 4)}-${n}`;
      if (!taken.has(name)) break;
    }
    taken.add(name);
    words.set(device, name);
  }
}

/** Letters of the hash of a Service's port and protocol; `port` is `shop/web:http`. */
const hashOf = (port: string, protocol: string, endpoint = ""): string => shortHash(port + protocol + endpoint);

/** Adds the chains of a Service's port, `shop/web:http`; the same for each of its protocols. */
export function addServicePort(words: Map<string, string>, port: string, by: string): void {
  for (const protocol of ["tcp", "udp", "sctp"]) {
    const [old, now] = [hashOf(port, protocol), hashOf(by, protocol)];
    for (const prefix of ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-"])
      words.set(prefix + old, prefix + now);
  }
}

/** A rule that sends to an endpoint: its chain, the Service's port in the comment, protocol and destination. */
const ENDPOINT =
  /-A (KUBE-SEP-[A-Z2-7]{16})\b.*?--comment "?([^"\s]+)"?.*?-m (tcp|udp|sctp)\b.*?--to-destination (\S+)/g;

/** Adds the chains of endpoints in a save of iptables: what they are made of is in their own rules. */
export function addEndpoints(
  words: Map<string, string>,
  save: string,
  nameOf: (text: string) => string,
  addressOf: (text: string) => string,
): void {
  for (const [, chain, port, protocol, to] of save.matchAll(ENDPOINT)) {
    if (`KUBE-SEP-${hashOf(port!, protocol!, to!)}` !== chain) continue;
    words.set(chain, `KUBE-SEP-${hashOf(nameOf(port!), protocol!, addressOf(to!))}`);
  }
}

/** A chain, set or map of kube-proxy's in nftables: what it is, eight letters of a hash, and what the hash is of. */
const HASHED = /\b(service|local|external|firewall|endpoint|affinity)-([A-Z2-7]{8})-([^\s"@{},;]+\/[^\s"@{},;]*)/g;

/** `shop/web/tcp/http`, for an endpoint with its address behind: `__10.244.1.2/8080`, IPv6 with dots for colons. */
const PATH = /^([^/]+)\/([^/]+)\/(tcp|udp|sctp)\/(.*?)(?:__([^/]+)\/(\d+))?$/;

/** The text with these names made anew. */
export function nftNames(text: string, nameOf: (text: string) => string, addressOf: (text: string) => string): string {
  return text.replaceAll(HASHED, (whole, kind: string, hash: string, path: string) => {
    const parts = PATH.exec(path);
    if (parts === null || shortHash(path).slice(0, 8) !== hash) return whole;
    const [, namespace, service, protocol, port, address, number] = parts;
    const at =
      address === undefined
        ? ""
        : `__${addressOf(/^[\d.]+$/.test(address) && address.split(".").length === 4 ? address : address.replaceAll(".", ":")).replaceAll(":", ".")}/${number}`;
    const now = `${nameOf(namespace!)}/${nameOf(service!)}/${protocol}/${nameOf(port!)}${at}`;
    return `${kind}-${shortHash(now).slice(0, 8)}-${now}`;
  });
}
