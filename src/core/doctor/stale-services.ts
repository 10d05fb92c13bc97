/** Services' EndpointSlices against the rules that a node has for them. */
import { formatIp } from "../model/address.ts";
import type { Endpoint, Service, ServicePort } from "../model/cluster.ts";
import type { Source } from "../model/source.ts";
import type { Chart } from "./chart.ts";
import { usableEndpoints } from "./expect.ts";
import { isKubeProxys } from "./kube-proxys.ts";
import { backendsOf, backendText, entryKey, type Entry, type ServiceRules } from "./service-rules.ts";

/** Ticks off the endpoints that a Service port should have, again for every node, without making anything. */
class Marks {
  private readonly seen = new Map<string, number>();
  private round = 0;
  /** Chains that were found to lead to all of them and nothing else, by what stands for their table. */
  private readonly fine = new Map<object, string>();

  constructor(endpoints: Iterable<string>) {
    for (const each of endpoints) this.seen.set(each, 0);
  }

  /** Whether the rules that `entry` leads to name all of them and nothing else. */
  areAllOf(rules: ServiceRules, entry: Entry): boolean {
    const table = rules.alike(entry);
    const chains = entry.chains.join(" ");
    if (table !== null && this.fine.get(table) === chains) return true;
    const all = this.areAll((name) => rules.eachBackend(entry, name));
    if (all && table !== null) this.fine.set(table, chains);
    return all;
  }

  /** Whether `name` names all of them and nothing else. */
  private areAll(name: (mark: (endpoint: string) => void) => void): boolean {
    const round = ++this.round;
    let left = this.seen.size;
    let strange = false;
    name((endpoint) => {
      const last = this.seen.get(endpoint);
      if (last === undefined) strange = true;
      else if (last !== round) {
        this.seen.set(endpoint, round);
        left--;
      }
    });
    return !strange && left === 0;
  }
}

/** A Service port of one family, as its slices have it. */
export interface Wanted {
  name: string;
  service: Service;
  port: ServicePort;
  address: string;
  /** How a node's rules have it. */
  key: string;
  family: 4 | 6;
  /** Every endpoint that any slice names, ready or not, by its text. */
  known: ReadonlyMap<string, Endpoint>;
  usable: ReadonlyMap<string, Endpoint>;
  marks: Marks;
  /** Whether each node may keep to a part of them. */
  hinted: boolean;
}

const hasHint = ({ hints }: Endpoint): boolean => hints !== undefined && hints.zones.length + hints.nodes.length > 0;

/** Every Service port that kube-proxy serves, in each family. */
export function wantedPorts(chart: Chart): Wanted[] {
  return [...chart.dir.services].flatMap(([name, service]) => {
    if (service.headless || service.externalName !== null || !isKubeProxys(service)) return [];
    return service.clusterIPs.flatMap((address) =>
      service.ports.map((port): Wanted => {
        const family = address.includes(":") ? 6 : 4;
        const known = new Map<string, Endpoint>();
        const numbers = new Map<Endpoint, number>();
        for (const slice of chart.dir.slices.get(name) ?? []) {
          if (slice.addressType !== `IPv${family}`) continue;
          const own = slice.ports.find((each) => each.name === port.name && each.protocol === port.protocol)?.port;
          if (own === undefined || own === null) continue;
          for (const endpoint of slice.endpoints) {
            // Only the first address counts (discovery/v1 Endpoint).
            known.set(backendText(endpoint.addresses[0] ?? "", own), endpoint);
            numbers.set(endpoint, own);
          }
        }
        const ready = usableEndpoints(chart.dir, service, port, family);
        const usable = new Map(
          ready.flatMap((each): [string, Endpoint][] => {
            const number = numbers.get(each);
            return number === undefined ? [] : [[backendText(each.addresses[0] ?? "", number), each]];
          }),
        );
        return {
          name: `${name}${port.name === "" ? "" : `:${port.name}`}`,
          service,
          port,
          address,
          key: entryKey(port.protocol, address, port.port),
          family,
          known,
          usable,
          marks: new Marks(usable.keys()),
          hinted: service.trafficDistribution != null || ready.some(hasHint),
        };
      }),
    );
  });
}

/** How a node's rules for a Service port differ from what its slices ask for. */
export interface Stale {
  wanted: Wanted;
  /** Backends that the node's rules lead to and no slice names. */
  gone: [string, Source][];
  lacking: string[];
  /** Nothing on the node is for this address at all. */
  absent: boolean;
  source: Source | null;
}

/** Addresses that recorded namespaces hold: what was there when nodes were read, even if the objects are a moment older or newer. */
export function heldAddresses(chart: Chart): Set<string> {
  const held = new Set<string>();
  for (const ns of chart.snapshot.namespaces)
    for (const link of ns.links) for (const { ip } of link.addresses) held.add(formatIp(ip));
  return held;
}

/** Compares the rules of `node` for one Service port with its slices; null when they agree, or may as far as one can tell. */
export function compare(node: string, rules: ServiceRules, wanted: Wanted, held: ReadonlySet<string>): Stale | null {
  const entry = rules.entries.get(wanted.key);
  const local = wanted.service.internalTrafficPolicy === "Local";
  // Nearly always all is well: that must cost little.
  if (entry !== undefined && !local && wanted.marks.areAllOf(rules, entry)) return null;
  const should = [...wanted.usable].filter(([, each]) => !local || each.node === node);
  if (entry === undefined) {
    const absent = wanted.usable.size > 0;
    return absent ? { wanted, gone: [], lacking: should.map(([text]) => text), absent, source: null } : null;
  }
  const backends = backendsOf(rules, entry);
  const hostOf = (text: string): string => text.slice(0, text.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  // A backend that is there although no slice names it yet is newer than the objects.
  const gone = [...backends].filter(
    ([text]) => !wanted.known.has(text) && !(held.has(hostOf(text)) && !sameHost(wanted, hostOf(text))),
  );
  // An endpoint whose namespace was not there any more when the node was read is older than the rules.
  const lacking = wanted.hinted
    ? []
    : should
        .filter(([text, each]) => !backends.has(text) && (held.has(hostOf(text)) || each.pod === null))
        .map(([text]) => text);
  const newer = should.length > 0 && should.every(([text]) => !held.has(hostOf(text)));
  if (gone.length === 0 && (lacking.length === 0 || newer)) return null;
  return { wanted, gone, lacking, absent: false, source: entry.source };
}

/** Whether the slices name this address with another port: the port changed, and the rules did not. */
const sameHost = ({ known }: Wanted, address: string): boolean =>
  [...known.values()].some((each) => each.addresses[0] === address);
