/**
 * What CoreDNS answers for the cluster's names: its kubernetes plugin (plugin/kubernetes/kubernetes.go, reverse.go, handler.go) and the
 * records made of what that finds (plugin/backend_lookup.go). CoreDNS 1.12; Kubernetes DNS specification 1.1.0.
 */
import { formatIp, parseIp } from "../../model/address.ts";
import { addressKey, endpointLabel, type ClusterNames } from "./cluster-names.ts";
import type { KubernetesZone, ServerBlock } from "./corefile.ts";
import { nameParts, type NameParts } from "./name-parts.ts";
import { addressOfReverse, type DnsRecord, type DnsReply, type RecordType } from "./records.ts";

/** What the plugin finds for a name: where it leads, and with which port. */
interface Found {
  /** An address, or a name (ExternalName). */
  host: string;
  /** −1 for none. */
  port: number;
  /** The name that SRV records and their addresses bear. */
  owner: string;
}

/** CNAMEs that are followed within the cluster (plugin/backend_lookup.go: more than 7 are taken for a loop). */
const MAX_CHAIN = 7;
const SCHEMA = "1.1.0";
const SCHEMA_TTL = 28800;

const within = (name: string, zone: string): boolean => zone === "." || name === zone || name.endsWith(`.${zone}`);
const clean = (name: string): string => (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();

/** The longest zone that holds `name`; null when none does (plugin.Zones.Matches). */
function zoneOf(name: string, zones: readonly string[]): string | null {
  const matching = zones.filter((zone) => within(name, zone));
  return matching.length === 0 ? null : matching.reduce((a, b) => (b.length > a.length ? b : a));
}

function exposed(names: ClusterNames, zone: KubernetesZone, namespace: string): boolean {
  return names.namespaces.has(namespace) && (zone.namespaces === null || zone.namespaces.includes(namespace));
}

/** Undefined: NXDOMAIN. An empty list: NODATA. */
function findPods(
  names: ClusterNames,
  config: KubernetesZone,
  parts: NameParts & { kind: "record" },
): Found[] | undefined {
  if (config.pods === "disabled") return undefined;
  if (parts.name === "") return [];
  const v4 = parts.name.split("-").length === 4 && !parts.name.includes("--");
  const ip = parseIp(parts.name.replaceAll("-", v4 ? "." : ":"));
  if (ip === null) return undefined;
  const host = formatIp(ip);
  if (config.pods === "verified" && !names.podsByAddress.get(host)?.includes(parts.namespace)) return undefined;
  return [{ host, port: 0, owner: "" }];
}

function findServices(
  names: ClusterNames,
  config: KubernetesZone,
  parts: NameParts & { kind: "record" },
  zone: string,
): Found[] | undefined {
  if (parts.name === "") return [];
  const service = names.services.get(`${parts.namespace}/${parts.name}`);
  if (service === undefined) return undefined;
  const endpoints = names.endpoints.get(`${parts.namespace}/${parts.name}`) ?? [];
  const owner = `${service.name}.${service.namespace}.svc.${zone}`;
  if (service.type === "ExternalName") {
    // An ExternalName has neither endpoints nor ports, and one that is an address is no CNAME.
    const plainName = parts.endpoint === "" && parts.port === "" && parts.protocol === "";
    if (!plainName || service.externalName === null || parseIp(service.externalName) !== null) return undefined;
    return [{ host: clean(service.externalName), port: 0, owner }];
  }
  if (config.ignoreEmptyService && !service.headless && endpoints.length === 0) return undefined;
  const wanted = (port: { name: string; protocol: string }): boolean =>
    (parts.port === "" || parts.port === port.name.toLowerCase()) &&
    (parts.protocol === "" || parts.protocol === port.protocol.toLowerCase());
  const found: Found[] = [];
  if (service.headless || parts.endpoint !== "") {
    for (const endpoint of endpoints) {
      const label = endpointLabel(endpoint, config.endpointPodNames);
      if (parts.endpoint !== "" && label.toLowerCase() !== parts.endpoint) continue;
      for (const port of endpoint.ports)
        if (wanted(port)) found.push({ host: endpoint.address, port: port.port, owner: `${label}.${owner}` });
    }
  } else
    for (const port of service.ports)
      if (wanted(port))
        for (const ip of service.clusterIPs) found.push({ host: addressKey(ip), port: port.port, owner });
  return found.length === 0 ? undefined : found;
}

const familyOf = (host: string): "A" | "AAAA" | null => {
  const ip = parseIp(host);
  return ip === null ? null : ip.v === 4 ? "A" : "AAAA";
};

/** Leaves out what is there already; CoreDNS says each record once. */
function distinct(records: DnsRecord[]): DnsRecord[] {
  return [...new Map(records.map((record) => [JSON.stringify(record), record])).values()];
}

/** One DNS server of the cluster. */
export class CoreDns {
  readonly #names: ClusterNames;
  readonly #blocks: readonly ServerBlock[];

  /** `names` of the cluster's objects, `blocks` of its Corefile. */
  constructor(names: ClusterNames, blocks: readonly ServerBlock[]) {
    this.#names = names;
    this.#blocks = blocks;
  }

  /** Answers a question for an absolute name, with or without final dot. Never throws. */
  ask(name: string, type: RecordType): DnsReply {
    const asked = clean(name);
    const zone = zoneOf(
      asked,
      this.#blocks.flatMap((block) => block.zones),
    );
    const block = this.#blocks.find((each) => zone !== null && each.zones.includes(zone));
    if (block === undefined) return { kind: "refused", why: `no server block of the Corefile serves ${asked}` };
    const config = block.kubernetes;
    const own = config === null ? null : zoneOf(asked, config.zones);
    if (config !== null && own !== null) {
      const reply = this.#kubernetes(asked, type, config, own, 0);
      const missing = reply.kind === "reply" && reply.rcode === "NXDOMAIN";
      if (!missing || zoneOf(asked, config.fallthrough) === null) return reply;
    }
    const forward = block.forwards.find((each) => within(asked, each.zone));
    if (forward !== undefined) return { kind: "forward", name: asked, forwards: forward.to };
    return { kind: "refused", why: `no plugin of the server block for ${block.zones.join(", ")} answers ${asked}` };
  }

  #kubernetes(name: string, type: RecordType, config: KubernetesZone, zone: string, chain: number): DnsReply {
    const reply = (answers: DnsRecord[], additional: DnsRecord[] = [], outside: string | null = null): DnsReply => ({
      kind: "reply",
      rcode: "NOERROR",
      answers: distinct(answers),
      additional: distinct(additional),
      outside,
    });
    const missing: DnsReply = { kind: "reply", rcode: "NXDOMAIN", answers: [], additional: [], outside: null };
    if (zone === "in-addr.arpa" || zone === "ip6.arpa") {
      const targets = type === "PTR" ? this.#reverse(name, config) : [];
      if (targets.length > 0) return reply(targets.map((target) => ({ name, ttl: config.ttl, type: "PTR", target })));
      return name === zone ? reply([]) : missing;
    }
    if (type === "TXT" && name === `dns-version.${zone}`)
      return reply([{ name, ttl: SCHEMA_TTL, type: "TXT", text: SCHEMA }]);
    const parts = nameParts(name, zone);
    if (parts.kind === "invalid") return missing;
    if (parts.kind === "apex") return reply([]);
    if (!exposed(this.#names, config, parts.namespace)) return missing;
    const found =
      parts.what === "pod" ? findPods(this.#names, config, parts) : findServices(this.#names, config, parts, zone);
    if (found === undefined) return missing;
    if (type === "SRV") return this.#srv(name, config, found, reply);
    const records: DnsRecord[] = [];
    let outside: string | null = null;
    for (const each of found) {
      const family = familyOf(each.host);
      if (family === null) {
        if (type !== "A" && type !== "AAAA" && type !== "CNAME") continue;
        const alias: DnsRecord = { name, ttl: config.ttl, type: "CNAME", target: each.host };
        // A name that leads to itself, or on and on, has no answer.
        if (each.host === name || chain >= MAX_CHAIN) continue;
        if (type === "CNAME") records.push(alias);
        else if (zoneOf(each.host, config.zones) === zone) {
          const next = this.#kubernetes(each.host, type, config, zone, chain + 1);
          if (next.kind !== "reply" || next.answers.length === 0) continue;
          records.push(alias, ...next.answers);
          outside = next.outside;
        } else {
          records.push(alias);
          outside = each.host;
        }
      } else if (family === type) records.push({ name, ttl: config.ttl, type: family, address: each.host });
    }
    return reply(records, [], outside);
  }

  /** SRV records share their weight of 100; those without a port are left out (plugin/backend_lookup.go, SRV). */
  #srv(
    name: string,
    config: KubernetesZone,
    found: readonly Found[],
    reply: (answers: DnsRecord[], additional: DnsRecord[]) => DnsReply,
  ): DnsReply {
    const internal = found.filter((each) => familyOf(each.host) !== null);
    const weight = Math.max(1, Math.floor(100 / internal.length));
    const answers: DnsRecord[] = [];
    const additional: DnsRecord[] = [];
    for (const { host, port, owner } of internal) {
      const family = familyOf(host);
      if (port < 0 || family === null || owner === "") continue;
      answers.push({ name, ttl: config.ttl, type: "SRV", priority: 0, weight, port, target: owner });
      additional.push({ name: owner, ttl: config.ttl, type: family, address: host });
    }
    return reply(answers, additional);
  }

  /** Names of an address: its Service's, else those of endpoints that have a hostname (reverse.go, serviceRecordForIP). */
  #reverse(name: string, config: KubernetesZone): string[] {
    const reversed = addressOfReverse(name);
    if (reversed === null) return [];
    const address = addressKey(reversed);
    const zone = config.zones.find((each) => !each.endsWith("arpa")) ?? config.zones[0] ?? "";
    const served = (namespace: string): boolean => config.namespaces === null || config.namespaces.includes(namespace);
    for (const service of this.#names.services.values())
      if (served(service.namespace) && service.clusterIPs.some((ip) => addressKey(ip) === address))
        return [`${service.name}.${service.namespace}.svc.${zone}`];
    return [...this.#names.endpoints].flatMap(([key, endpoints]) => {
      const [namespace, service] = key.split("/");
      if (!served(namespace!)) return [];
      return endpoints
        .filter((endpoint) => endpoint.address === address && endpoint.hostname !== null && endpoint.hostname !== "")
        .map((endpoint) => `${endpoint.hostname}.${service}.${namespace}.svc.${zone}`);
    });
  }
}
