/**
 * Recorded BPF maps: what `cilium-dbg bpf … list -o json` printed, an object of keys and lists of values as text, and for policies a list
 * of entries (cilium-dbg/cmd/bpf_*.go).
 */
import { formatIp, parseIp } from "../../model/address.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { ParseError } from "../../model/source.ts";
import { asObject, errorAt, isObject, optional, parseJson, type JsonDoc } from "../../parse/json-lines.ts";
import type { EndpointEntry, IpcacheEntry } from "./address-maps.ts";
import type { PolicyEntry } from "./policy-map.ts";
import type { Frontend, FrontendKind } from "./service-map.ts";

const KINDS: readonly string[] = ["ClusterIP", "NodePort", "ExternalIPs", "LoadBalancer", "HostPort", "LocalRedirect"];

/** Keys and values of a map's dump. */
function table(text: string, file: string): { doc: JsonDoc; rows: [string, string[]][] } {
  const doc = parseJson(text, file);
  if (!isObject(doc.value)) throw new ParseError({ file, line: 1 }, "should be an object of keys and their values");
  const value = doc.value;
  const rows = Object.entries(value).map(([key, list]): [string, string[]] => {
    if (!Array.isArray(list)) throw errorAt(doc, value, `"${key}" should be an array of strings`);
    return [key, list.map(String)];
  });
  return { doc, rows };
}

/** `10.96.0.1:443/TCP`, `[fd00::1]:80/UDP/i`, `10.96.0.1:443`; null when it is none of these. */
function addressOf(text: string): Pick<Frontend, "address" | "port" | "protocol" | "scope"> | null {
  const match = /^\[?([0-9a-fA-F.:]+?)\]?:(\d+)((?:\/[A-Za-z0-9]+)*)$/.exec(text);
  const ip = match === null ? null : parseIp(match[1]!);
  if (match === null || ip === null) return null;
  const words = match[3]!.split("/").filter((word) => word !== "");
  return {
    address: formatIp(ip),
    port: Number(match[2]),
    protocol: words.find((word) => word !== "i") ?? "ANY",
    scope: words.includes("i") ? "internal" : "external",
  };
}

/**
 * `cilium-dbg bpf lb list -o json`: frontends with their backends. Every release so far is read: one key for a frontend, or one for each
 * of its slots (`… (0)`); with and without protocols. Throws ParseError when the text is no such list.
 */
function readServiceMap(text: string, file: string): Frontend[] {
  const { doc, rows } = table(text, file);
  const found = new Map<string, Frontend>();
  for (const [key, values] of rows) {
    const name = key.replace(/\s*\(\d+\)$/, "");
    const parsed = addressOf(name);
    if (parsed === null) throw errorAt(doc, doc.value as object, `"${key}" should be an address and port`);
    const frontend: Frontend = found.get(name) ?? {
      kind: "ClusterIP",
      ...parsed,
      sessionAffinity: false,
      backends: [],
      service: null,
    };
    found.set(name, frontend);
    for (const value of values) {
      // `BACKEND (REVNAT) (SLOT) [FLAGS]`; slot 0 is the frontend itself.
      const match = /^(\S+)\s+\(\d+\)(?:\s+\((\d+)\))?(?:\s+\[(.*)\])?$/.exec(value.trim());
      if (match === null) continue;
      const flags = match[3]?.split(", ") ?? [];
      if (flags.length > 0) {
        if (KINDS.includes(flags[0]!)) frontend.kind = flags[0] as FrontendKind;
        frontend.sessionAffinity = flags.includes("sessionAffinity");
      }
      if (match[2] === "0" || flags.length > 0) continue;
      const backend = addressOf(match[1]!);
      if (backend !== null)
        frontend.backends.push(
          `${backend.address.includes(":") ? `[${backend.address}]` : backend.address}:${backend.port}`,
        );
    }
  }
  for (const frontend of found.values()) frontend.backends.sort();
  return [...found.values()];
}

/** `name=value` words of a value. */
const wordsOf = (value: string): Map<string, string> =>
  new Map([...value.matchAll(/([A-Za-z_]+)=(\S+)/g)].map((match) => [match[1]!.toLowerCase(), match[2]!]));

const numberOf = (text: string | undefined): number | null =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : null;

/** `cilium-dbg bpf ipcache list -o json`. Throws ParseError when the text is no such list. */
function readIpcache(text: string, file: string): IpcacheEntry[] {
  return table(text, file).rows.flatMap(([prefix, values]) => {
    const words = wordsOf(values[0] ?? "");
    const identity = numberOf(words.get("identity") ?? words.get("sec_label"));
    const tunnel = words.get("tunnelendpoint");
    if (identity === null) return [];
    return [
      { prefix, identity, tunnel: tunnel === undefined || tunnel === "0.0.0.0" || tunnel === "::" ? null : tunnel },
    ];
  });
}

/** `cilium-dbg bpf endpoint list -o json`. Throws ParseError when the text is no such list. */
function readEndpointMap(text: string, file: string): EndpointEntry[] {
  return table(text, file).rows.flatMap(([key, values]) => {
    const ip = parseIp(key.replace(/^\[?(.*?)\]?:\d+$/, "$1"));
    if (ip === null) return [];
    const words = wordsOf(values[0] ?? "");
    const local = (values[0] ?? "").includes("(localhost)");
    const mac = (name: string): string | null => words.get(name)?.toLowerCase() ?? null;
    return [
      {
        ip: formatIp(ip),
        id: local ? null : numberOf(words.get("id")),
        ifindex: local ? null : numberOf(words.get("ifindex")),
        mac: local ? null : mac("mac"),
        nodeMac: local ? null : mac("nodemac"),
      },
    ];
  });
}

/** `cilium-dbg bpf tunnel list -o json` of releases before 1.17: prefixes and the nodes that they are behind. Throws ParseError. */
function readTunnelMap(text: string, file: string): { prefix: string; node: string }[] {
  return table(text, file).rows.flatMap(([key, values]) => {
    const address = (shown: string): string => shown.replace(/^\[?([0-9a-fA-F.:]+?)\]?:\d+$/, "$1");
    const [value] = values;
    return value === undefined ? [] : [{ prefix: address(key), node: address(value.split(" ")[0]!) }];
  });
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  0: "",
  1: "ICMP",
  6: "TCP",
  17: "UDP",
  58: "ICMPv6",
  132: "SCTP",
};
/** Bits of a key that a protocol and then a port take (pkg/maps/policymap, StaticPrefixBits). */
const STATIC_BITS = 40;
const PORT_BITS = 16;
const FLAG_DENY = 1;

/** Ports are kept in network byte order, and printed as a number of the node's own order. */
const swapped = (port: number): number => ((port & 255) << 8) | (port >> 8);

/** `cilium-dbg bpf policy get ENDPOINT -o json`. Throws ParseError when the text is no such list. */
function readPolicyMap(text: string, file: string): PolicyEntry[] {
  const doc = parseJson(text, file);
  if (!Array.isArray(doc.value)) throw new ParseError({ file, line: 1 }, "should be an array of entries");
  const list = doc.value;
  return list.map((each): PolicyEntry => {
    const entry = asObject(doc, list, each, "every entry");
    const key = optional(doc, entry, "Key", "object") ?? entry;
    const number = (name: string): number => optional(doc, key, name, "integer") ?? 0;
    const port = swapped(number("DestPortNetwork") || number("DestPort"));
    const protocol = number("Nexthdr");
    const bits = optional(doc, key, "Prefixlen", "integer");
    const portBits = bits === null ? PORT_BITS : Math.max(0, bits - STATIC_BITS - 8);
    const most = port === 0 ? 0 : port | ((1 << (PORT_BITS - Math.min(PORT_BITS, portBits))) - 1);
    return {
      direction: number("TrafficDirection") === 1 ? "egress" : "ingress",
      peer: { identity: number("Identity") },
      protocol: PROTOCOLS[protocol] ?? String(protocol),
      port,
      endPort: most,
      deny: ((optional(doc, entry, "Flags", "integer") ?? 0) & FLAG_DENY) !== 0,
    };
  });
}

/** The maps of a node, as far as they were recorded. */
export interface RecordedMaps {
  services: Frontend[] | null;
  ipcache: IpcacheEntry[] | null;
  endpoints: EndpointEntry[] | null;
  tunnel: { prefix: string; node: string }[] | null;
  /** By the number of the endpoint. */
  policies: Map<number, PolicyEntry[]>;
  /** Files that are not what they should be. */
  problems: ParseError[];
}

/**
 * Reads `nodes/NODE/bpf/`: lb.json, ipcache.json, endpoint.json, tunnel.json, and policy-ENDPOINT.json for each endpoint. A file that
 * cannot be read is a problem, and its map is null.
 */
export function recordedMaps(snapshot: Pick<Snapshot, "files" | "text">, node: string): RecordedMaps {
  const folder = `nodes/${node}/bpf/`;
  const problems: ParseError[] = [];
  const read = <T>(path: string, parse: (text: string, file: string) => T): T | null => {
    const text = snapshot.text(path);
    if (text === undefined || text.trim() === "") return null;
    try {
      return parse(text, path);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      problems.push(error);
      return null;
    }
  };
  const policies = new Map<number, PolicyEntry[]>();
  for (const path of snapshot.files) {
    const match = path.startsWith(folder) ? /^policy-(\d+)\.json$/.exec(path.slice(folder.length)) : null;
    const entries = match === null ? null : read(path, readPolicyMap);
    if (match !== null && entries !== null) policies.set(Number(match[1]), entries);
  }
  return {
    services: read(`${folder}lb.json`, readServiceMap),
    ipcache: read(`${folder}ipcache.json`, readIpcache),
    endpoints: read(`${folder}endpoint.json`, readEndpointMap),
    tunnel: read(`${folder}tunnel.json`, readTunnelMap),
    policies,
    problems,
  };
}
