/**
 * `kubectl get RESOURCE -A -o json`: the objects that decide where packets go, reduced to what networking reads.
 * Defaults are those of the API server, for objects that were recorded without them (Kubernetes API reference v1.34).
 */
import type {
  Cluster,
  ContainerPort,
  Endpoint,
  EndpointSlice,
  Node,
  ObjectMeta,
  Pod,
  Service,
  ServicePort,
} from "../model/cluster.ts";
import {
  asObject,
  errorAt,
  field,
  objects,
  optional,
  parseJson,
  shown,
  sourceOf,
  strings,
  type JsonDoc,
  type JsonObject,
} from "./json-lines.ts";
import { documentObject } from "./json-object.ts";

const EMPTY: JsonObject = {};

/** An object field, or one without fields when it is absent. */
const part = (doc: JsonDoc, o: JsonObject, name: string): JsonObject => optional(doc, o, name, "object") ?? EMPTY;

const flag = (doc: JsonDoc, o: JsonObject, name: string): boolean => optional(doc, o, name, "boolean") ?? false;

const text = (doc: JsonDoc, o: JsonObject, name: string): string | null => optional(doc, o, name, "string");

function stringMap(doc: JsonDoc, o: JsonObject, name: string): Record<string, string> {
  const map = part(doc, o, name);
  for (const [key, value] of Object.entries(map))
    if (typeof value !== "string") throw errorAt(doc, map, `"${key}" should be a string, not ${shown(value)}`);
  return map as Record<string, string>;
}

/** A port number, absent as null; 0 stands for absence where the API writes it so. */
function port(doc: JsonDoc, o: JsonObject, name: string): number | null {
  const n = optional(doc, o, name, "integer");
  if (n === null || n === 0) return null;
  if (n < 0 || n > 65535) throw errorAt(doc, o, `"${name}" should be a port, not ${n}`);
  return n;
}

function requiredPort(doc: JsonDoc, o: JsonObject, name: string): number {
  const n = port(doc, o, name);
  if (n === null) throw errorAt(doc, o, `"${name}" is missing; it should be a port`);
  return n;
}

function parseMeta(doc: JsonDoc, o: JsonObject): ObjectMeta {
  const meta = field(doc, o, "metadata", "object");
  return {
    namespace: text(doc, meta, "namespace") ?? "",
    name: field(doc, meta, "name", "string"),
    labels: stringMap(doc, meta, "labels"),
    annotations: stringMap(doc, meta, "annotations"),
    source: sourceOf(doc, o),
  };
}

/** Values of `name` in a list of objects; objects without it are passed over. */
function each(doc: JsonDoc, list: readonly JsonObject[], name: string): string[] {
  return list.map((o) => text(doc, o, name)).filter((value) => value !== null && value !== "") as string[];
}

/** The plural field of a dual-stack API, else its older singular. */
function plural(doc: JsonDoc, o: JsonObject, many: string, one: string): string[] {
  const list = each(doc, objects(doc, o, many), "ip");
  const single = text(doc, o, one);
  return list.length > 0 || single === null || single === "" ? list : [single];
}

function parseContainerPort(doc: JsonDoc, o: JsonObject): ContainerPort {
  return {
    name: text(doc, o, "name"),
    containerPort: requiredPort(doc, o, "containerPort"),
    hostPort: port(doc, o, "hostPort"),
    hostIP: text(doc, o, "hostIP") || null,
    protocol: text(doc, o, "protocol") ?? "TCP",
  };
}

function parsePod(doc: JsonDoc, o: JsonObject): Pod {
  const meta = parseMeta(doc, o);
  const spec = part(doc, o, "spec");
  const status = part(doc, o, "status");
  // Init containers that restart always are sidecars, which run beside the others (KEP-753).
  const containers = [
    ...objects(doc, spec, "containers"),
    ...objects(doc, spec, "initContainers").filter((c) => text(doc, c, "restartPolicy") === "Always"),
  ];
  return {
    ...meta,
    node: text(doc, spec, "nodeName") || null,
    hostNetwork: flag(doc, spec, "hostNetwork"),
    ips: plural(doc, status, "podIPs", "podIP"),
    hostIPs: plural(doc, status, "hostIPs", "hostIP"),
    phase: text(doc, status, "phase") ?? "",
    ready: objects(doc, status, "conditions").some(
      (c) => text(doc, c, "type") === "Ready" && text(doc, c, "status") === "True",
    ),
    terminating: text(doc, field(doc, o, "metadata", "object"), "deletionTimestamp") !== null,
    ports: containers.flatMap((c) => objects(doc, c, "ports").map((p) => parseContainerPort(doc, p))),
  };
}

function parseServicePort(doc: JsonDoc, o: JsonObject): ServicePort {
  const number = requiredPort(doc, o, "port");
  const target = o["targetPort"];
  if (target !== undefined && target !== null && typeof target !== "number" && typeof target !== "string")
    throw errorAt(doc, o, `"targetPort" should be a number or a name, not ${shown(target)}`);
  return {
    name: text(doc, o, "name") ?? "",
    protocol: text(doc, o, "protocol") ?? "TCP",
    port: number,
    // 0 and "" stand for absence, which means the same port (core/v1 ServicePort).
    targetPort: target || number,
    nodePort: port(doc, o, "nodePort"),
  };
}

function parseService(doc: JsonDoc, o: JsonObject): Service {
  const spec = part(doc, o, "spec");
  const ingress = objects(doc, part(doc, part(doc, o, "status"), "loadBalancer"), "ingress");
  const affinity = part(doc, part(doc, spec, "sessionAffinityConfig"), "clientIP");
  const single = text(doc, spec, "clusterIP");
  const all = strings(doc, spec, "clusterIPs");
  const clusterIPs = all.length > 0 || single === null ? all : [single];
  return {
    ...parseMeta(doc, o),
    type: text(doc, spec, "type") ?? "ClusterIP",
    clusterIPs: clusterIPs.filter((ip) => ip !== "None" && ip !== ""),
    headless: clusterIPs.includes("None"),
    ipFamilies: strings(doc, spec, "ipFamilies"),
    externalName: text(doc, spec, "externalName") || null,
    externalIPs: strings(doc, spec, "externalIPs"),
    loadBalancerIPs: each(doc, ingress, "ip"),
    loadBalancerIngress: ingress
      .map((i) => ({ ip: text(doc, i, "ip") ?? "", ipMode: text(doc, i, "ipMode") ?? "VIP" }))
      .filter((i) => i.ip !== ""),
    loadBalancerSourceRanges: strings(doc, spec, "loadBalancerSourceRanges"),
    healthCheckNodePort: port(doc, spec, "healthCheckNodePort"),
    ports: objects(doc, spec, "ports").map((p) => parseServicePort(doc, p)),
    selector: stringMap(doc, spec, "selector"),
    sessionAffinity: text(doc, spec, "sessionAffinity") ?? "None",
    // Three hours (core/v1 DefaultClientIPServiceAffinitySeconds).
    sessionAffinitySeconds: optional(doc, affinity, "timeoutSeconds", "integer") ?? 10800,
    externalTrafficPolicy: text(doc, spec, "externalTrafficPolicy") ?? "Cluster",
    internalTrafficPolicy: text(doc, spec, "internalTrafficPolicy") ?? "Cluster",
    trafficDistribution: text(doc, spec, "trafficDistribution") || null,
  };
}

function parseEndpoint(doc: JsonDoc, o: JsonObject): Endpoint {
  const conditions = part(doc, o, "conditions");
  // "A nil value should be interpreted as true"; serving: "consumers should defer to the ready condition" (discovery/v1).
  const ready = optional(doc, conditions, "ready", "boolean") ?? true;
  const target = part(doc, o, "targetRef");
  const hints = part(doc, o, "hints");
  const isPod = text(doc, target, "kind") === "Pod";
  return {
    addresses: strings(doc, o, "addresses"),
    ready,
    serving: optional(doc, conditions, "serving", "boolean") ?? ready,
    terminating: flag(doc, conditions, "terminating"),
    node: text(doc, o, "nodeName"),
    hostname: text(doc, o, "hostname"),
    zone: text(doc, o, "zone"),
    hints: {
      zones: each(doc, objects(doc, hints, "forZones"), "name"),
      nodes: each(doc, objects(doc, hints, "forNodes"), "name"),
    },
    pod: isPod ? { namespace: text(doc, target, "namespace") ?? "", name: field(doc, target, "name", "string") } : null,
  };
}

function parseEndpointSlice(doc: JsonDoc, o: JsonObject): EndpointSlice {
  const meta = parseMeta(doc, o);
  return {
    ...meta,
    service: meta.labels["kubernetes.io/service-name"] ?? null,
    addressType: field(doc, o, "addressType", "string"),
    ports: objects(doc, o, "ports").map((p) => ({
      name: text(doc, p, "name") ?? "",
      port: port(doc, p, "port"),
      protocol: text(doc, p, "protocol") ?? "TCP",
    })),
    endpoints: objects(doc, o, "endpoints").map((e) => parseEndpoint(doc, e)),
  };
}

function parseNode(doc: JsonDoc, o: JsonObject): Node {
  const spec = part(doc, o, "spec");
  const many = strings(doc, spec, "podCIDRs");
  const one = text(doc, spec, "podCIDR");
  const status = part(doc, o, "status");
  const info = part(doc, status, "nodeInfo");
  // A quantity; a node's own count is a whole number.
  const cpus = text(doc, part(doc, status, "capacity"), "cpu") ?? "";
  return {
    ...parseMeta(doc, o),
    addresses: objects(doc, status, "addresses").map((a) => ({
      type: field(doc, a, "type", "string"),
      address: field(doc, a, "address", "string"),
    })),
    podCIDRs: many.length > 0 || one === null || one === "" ? many : [one],
    kubeletVersion: text(doc, info, "kubeletVersion") ?? "",
    kernelVersion: text(doc, info, "kernelVersion") ?? "",
    cpus: /^\d+$/.test(cpus) ? Number(cpus) : null,
  };
}

/** A cluster of which nothing is known as yet. */
export function emptyCluster(): Cluster {
  return { pods: [], services: [], endpointSlices: [], nodes: [], raw: new Map(), missing: new Map() };
}

/** The resources that become more than raw objects, by file name without .json, and the kind of their objects. */
const KINDS: Record<string, string> = {
  pods: "Pod",
  services: "Service",
  "endpointslices.discovery.k8s.io": "EndpointSlice",
  nodes: "Node",
};

/** File names, without .json, of the resources that become more than raw objects. */
export const CLUSTER_RESOURCES: readonly string[] = Object.keys(KINDS);

/**
 * Reads one resource's file into `cluster`: its objects into `raw`, and into the list that is theirs when there is one.
 * `resource` is the file's name without .json, `file` its path in the snapshot.
 * Throws ParseError when the text is not a list of objects of that resource; `cluster` is then as it was.
 */
export function parseClusterResource(json: string, file: string, resource: string, cluster: Cluster): void {
  const doc = parseJson(json, file);
  const list = documentObject(doc);
  const kind = field(doc, list, "kind", "string");
  if (!kind.endsWith("List")) throw errorAt(doc, list, `should be a List, not a ${shown(kind)}`);
  const items = field(doc, list, "items", "array").map((item) => asObject(doc, list, item, 'every element of "items"'));
  const wanted = Object.hasOwn(KINDS, resource) ? KINDS[resource] : undefined;
  for (const item of items) {
    const found = text(doc, item, "kind");
    if (wanted !== undefined && found !== null && found !== wanted)
      throw errorAt(doc, item, `should be a ${wanted}, not a ${shown(found)}`);
  }
  const read = <T>(parse: (doc: JsonDoc, o: JsonObject) => T): T[] => items.map((item) => parse(doc, item));
  switch (resource) {
    case "pods":
      cluster.pods = read(parsePod);
      break;
    case "services":
      cluster.services = read(parseService);
      break;
    case "endpointslices.discovery.k8s.io":
      cluster.endpointSlices = read(parseEndpointSlice);
      break;
    case "nodes":
      cluster.nodes = read(parseNode);
      break;
  }
  cluster.raw.set(resource, items);
}
