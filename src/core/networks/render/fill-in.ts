/**
 * What the control plane would write into objects that a person left short: addresses of Services and pods, node ports, pod networks of
 * nodes, EndpointSlices of Services with a selector. Everything that is written already stays.
 */
import type { WrittenObject } from "./objects.ts";

type Fields = Record<string, unknown>;

const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object in a field, made when it is not there. */
function part(object: Fields, name: string): Fields {
  const there = object[name];
  if (isRecord(there)) return there;
  const made: Fields = {};
  object[name] = made;
  return made;
}

const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isRecord) : []);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Counts up within a /16 or a /24, past what is taken. */
function nextFree(taken: ReadonlySet<string>, make: (n: number) => string, from: number): string {
  for (let n = from; ; n++) {
    const one = make(n);
    if (!taken.has(one)) return one;
  }
}

function nodes(objects: readonly WrittenObject[]): void {
  const all = objects.filter((each) => each.kind === "Node");
  const taken = new Set(all.map((each) => textOf(part(each.value, "spec")["podCIDR"])));
  for (const node of all) {
    const spec = part(node.value, "spec");
    if (spec["podCIDR"] === undefined && spec["podCIDRs"] === undefined) {
      const cidr = nextFree(taken, (n) => `10.244.${n}.0/24`, 0);
      taken.add(cidr);
      spec["podCIDR"] = cidr;
    }
    if (!Array.isArray(spec["podCIDRs"])) spec["podCIDRs"] = [spec["podCIDR"]];
  }
}

function podNetworks(objects: readonly WrittenObject[]): Map<string, string> {
  return new Map(
    objects
      .filter((each) => each.kind === "Node")
      .map((each) => [each.name, textOf(part(each.value, "spec")["podCIDR"])]),
  );
}

function pods(objects: readonly WrittenObject[]): void {
  const networks = podNetworks(objects);
  const all = objects.filter((each) => each.kind === "Pod");
  const addressesOf = (pod: WrittenObject): string[] => {
    const status = part(pod.value, "status");
    return [textOf(status["podIP"]), ...listOf(status["podIPs"]).map((each) => textOf(each["ip"]))];
  };
  const taken = new Set(all.flatMap(addressesOf));
  for (const pod of all) {
    const spec = part(pod.value, "spec");
    const status = part(pod.value, "status");
    status["phase"] ??= "Running";
    status["conditions"] ??= [{ type: "Ready", status: "True" }];
    const network = /^(\d+\.\d+\.\d+)\.\d+\/\d+$/.exec(networks.get(textOf(spec["nodeName"])) ?? "");
    if (addressesOf(pod).some((each) => each !== "") || spec["hostNetwork"] === true || network === null) continue;
    // .1 is the bridge's.
    const ip = nextFree(taken, (n) => `${network[1]!}.${n}`, 2);
    taken.add(ip);
    status["podIP"] = ip;
    status["podIPs"] = [{ ip }];
  }
}

function services(objects: readonly WrittenObject[]): void {
  const all = objects.filter((each) => each.kind === "Service");
  const taken = new Set(all.map((each) => textOf(part(each.value, "spec")["clusterIP"])));
  const ports = new Set(
    all.flatMap((each) => listOf(part(each.value, "spec")["ports"]).map((port) => String(port["nodePort"]))),
  );
  for (const service of all) {
    const spec = part(service.value, "spec");
    if (spec["type"] === "ExternalName") continue;
    if (spec["clusterIP"] === undefined && spec["clusterIPs"] === undefined) {
      const ip = nextFree(taken, (n) => `10.96.${n >> 8}.${n & 255}`, 11);
      taken.add(ip);
      spec["clusterIP"] = ip;
    }
    if (spec["clusterIPs"] === undefined) spec["clusterIPs"] = [spec["clusterIP"]];
    if (spec["type"] !== "NodePort" && spec["type"] !== "LoadBalancer") continue;
    for (const port of listOf(spec["ports"])) {
      if (port["nodePort"] !== undefined || spec["allocateLoadBalancerNodePorts"] === false) continue;
      const number = nextFree(ports, String, 30_000);
      ports.add(number);
      port["nodePort"] = Number(number);
    }
  }
}

/** The port of a container by number or name (pkg/api/v1/pod FindPort). */
function targetPort(pod: WrittenObject, port: Fields): number | null {
  const target = port["targetPort"] ?? port["port"];
  if (typeof target === "number") return target;
  const containers = listOf(part(pod.value, "spec")["containers"]);
  const named = containers.flatMap((each) => listOf(each["ports"])).find((each) => each["name"] === target);
  const number = named?.["containerPort"];
  return typeof number === "number" ? number : null;
}

function endpointSlice(service: WrittenObject, all: readonly WrittenObject[]): WrittenObject | null {
  const spec = part(service.value, "spec");
  const selector = Object.entries(part(spec, "selector"));
  if (selector.length === 0) return null;
  const chosen = all.filter((each) => {
    if (each.kind !== "Pod" || each.namespace !== service.namespace) return false;
    const labels = part(part(each.value, "metadata"), "labels");
    return selector.every(([name, value]) => labels[name] === value);
  });
  const first = chosen[0];
  const ports = listOf(spec["ports"]).map((port) => ({
    name: textOf(port["name"]),
    protocol: textOf(port["protocol"]) || "TCP",
    port: first === undefined ? null : targetPort(first, port),
  }));
  const endpoints = chosen.flatMap((pod) => {
    const status = part(pod.value, "status");
    const ip = textOf(status["podIP"]);
    if (ip === "") return [];
    const ready = listOf(status["conditions"]).some((each) => each["type"] === "Ready" && each["status"] === "True");
    return [
      {
        addresses: [ip],
        conditions: { ready, serving: ready, terminating: false },
        nodeName: textOf(part(pod.value, "spec")["nodeName"]),
        targetRef: { kind: "Pod", namespace: pod.namespace, name: pod.name },
      },
    ];
  });
  const name = `${service.name}-1`;
  const metadata = {
    namespace: service.namespace,
    name,
    labels: { "kubernetes.io/service-name": service.name },
  };
  const value = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata,
    addressType: "IPv4",
    ports,
    endpoints,
  };
  return { ...service, apiVersion: value.apiVersion, kind: value.kind, name, value };
}

/** Fills the objects in, in place, and returns them with the EndpointSlices that they lack. */
export function fillIn(objects: readonly WrittenObject[]): WrittenObject[] {
  for (const each of objects) {
    const metadata = part(each.value, "metadata");
    if (each.namespace === "" && (each.kind === "Pod" || each.kind === "Service" || each.kind === "EndpointSlice")) {
      each.namespace = "default";
      metadata["namespace"] = "default";
    }
  }
  nodes(objects);
  pods(objects);
  services(objects);
  const served = new Set(
    objects
      .filter((each) => each.kind === "EndpointSlice")
      .map((each) => {
        const labels = part(part(each.value, "metadata"), "labels");
        return `${each.namespace}/${textOf(labels["kubernetes.io/service-name"])}`;
      }),
  );
  const slices = objects
    .filter((each) => each.kind === "Service" && !served.has(`${each.namespace}/${each.name}`))
    .flatMap((service) => endpointSlice(service, objects) ?? []);
  return [...objects, ...slices];
}
