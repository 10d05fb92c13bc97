/** The cluster's objects as items to compare: nodes, pods, Services, endpoints, policies and what else was recorded. */
import type { Endpoint, EndpointSlice, ObjectMeta, Pod, Service } from "../model/cluster.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { compareItems, type Item } from "./items.ts";
import type { Report } from "./report.ts";
import type { ChangeKind } from "./types.ts";

const nameOf = (meta: ObjectMeta): string => (meta.namespace === "" ? meta.name : `${meta.namespace}/${meta.name}`);

const list = (values: readonly string[]): string => values.toSorted().join(", ");

const pairs = (record: Readonly<Record<string, string>>): string =>
  list(Object.entries(record).map(([name, value]) => `${name}=${value}`));

function podItem(pod: Pod): Item {
  const fields = {
    node: pod.node ?? "",
    addresses: pod.ips.join(", "),
    phase: pod.phase,
    ready: String(pod.ready),
    terminating: String(pod.terminating),
    hostNetwork: String(pod.hostNetwork),
    labels: pairs(pod.labels),
    ports: list(
      pod.ports.map(
        ({ name, containerPort, hostPort, hostIP, protocol }) =>
          `${name ?? ""} ${containerPort}/${protocol}${hostPort === null ? "" : ` host ${hostIP ?? ""}:${hostPort}`}`,
      ),
    ),
  };
  const where = [pod.node === null ? "" : `on ${pod.node}`, pod.ips.join(", ")].filter((word) => word !== "");
  return {
    key: nameOf(pod),
    what: nameOf(pod),
    fields,
    text: [nameOf(pod), ...where, pod.phase].join(" "),
    source: pod.source,
  };
}

function serviceItem(service: Service): Item {
  const ports = service.ports.map(
    ({ name, protocol, port, targetPort, nodePort }) =>
      `${name === "" ? "" : `${name} `}${port}/${protocol} → ${targetPort}${nodePort === null ? "" : ` node port ${nodePort}`}`,
  );
  const fields = {
    type: service.type,
    clusterIPs: service.clusterIPs.join(", "),
    externalName: service.externalName ?? "",
    externalIPs: list(service.externalIPs),
    loadBalancerIPs: list(service.loadBalancerIPs),
    loadBalancerModes: list((service.loadBalancerIngress ?? []).map(({ ip, ipMode }) => `${ip} ${ipMode}`)),
    loadBalancerSourceRanges: list(service.loadBalancerSourceRanges ?? []),
    healthCheckNodePort: String(service.healthCheckNodePort ?? ""),
    ports: list(ports),
    selector: pairs(service.selector),
    sessionAffinity: `${service.sessionAffinity} ${service.sessionAffinitySeconds ?? ""}`.trim(),
    externalTrafficPolicy: service.externalTrafficPolicy,
    internalTrafficPolicy: service.internalTrafficPolicy,
    trafficDistribution: service.trafficDistribution ?? "",
  };
  const text = [nameOf(service), service.type, fields.clusterIPs, fields.ports].filter((word) => word !== "").join(" ");
  return { key: nameOf(service), what: nameOf(service), fields, text, source: service.source };
}

/** What a slice says of one endpoint; slices themselves have random names and may be cut up in any way. */
function endpointItems(slice: EndpointSlice): Item[] {
  const service = `${slice.namespace}/${slice.service ?? ""}`;
  const one = (endpoint: Endpoint, address: string): Item => {
    const ports = slice.ports.map(({ name, port, protocol }) => `${name === "" ? "" : `${name} `}${port}/${protocol}`);
    const fields = {
      ports: list(ports),
      ready: String(endpoint.ready),
      serving: String(endpoint.serving),
      terminating: String(endpoint.terminating),
      node: endpoint.node ?? "",
      hostname: endpoint.hostname ?? "",
      zone: endpoint.zone ?? "",
      hints: list([...(endpoint.hints?.zones ?? []), ...(endpoint.hints?.nodes ?? [])]),
      pod: endpoint.pod === null ? "" : `${endpoint.pod.namespace}/${endpoint.pod.name}`,
    };
    const what = `${service} ${address}`;
    const text = [what, fields.ports, endpoint.ready ? "" : "not ready", fields.pod].filter((word) => word !== "");
    return { key: what, what, fields, text: text.join(" "), source: slice.source };
  };
  return slice.endpoints.flatMap((endpoint) => endpoint.addresses.map((address) => one(endpoint, address)));
}

function nodeItems(snapshot: Snapshot): Item[] {
  return snapshot.cluster.nodes.map((node) => ({
    key: node.name,
    what: node.name,
    fields: {
      addresses: list(node.addresses.map(({ type, address }) => `${type} ${address}`)),
      podCIDRs: node.podCIDRs.join(", "),
      kubelet: node.kubeletVersion ?? "",
      kernel: node.kernelVersion ?? "",
      labels: pairs(node.labels),
    },
    text: `${node.name} ${list(node.addresses.map(({ address }) => address))}`,
    source: node.source,
  }));
}

/** Resources of which there is a reading of their own, and those that tell what happens rather than what is wanted. */
const NOT_RAW: ReadonlySet<string> = new Set([
  "pods",
  "services",
  "endpoints",
  "endpointslices.discovery.k8s.io",
  "nodes",
  "events",
  "events.events.k8s.io",
  "leases.coordination.k8s.io",
]);

type Raw = Readonly<Record<string, unknown>>;

const isRaw = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isRaw(value)) return JSON.stringify(value) ?? "null";
  return `{${Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    .join(",")}}`;
}

/** What is wanted of an object: all of it but its status and what the API server writes about it. */
function rawItem(resource: string, object: unknown): Item | null {
  if (!isRaw(object)) return null;
  const meta = isRaw(object["metadata"]) ? object["metadata"] : {};
  const namespace = typeof meta["namespace"] === "string" ? `${meta["namespace"]}/` : "";
  const what = `${resource} ${namespace}${String(meta["name"] ?? "")}`;
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(object)) {
    if (!["metadata", "status", "kind", "apiVersion"].includes(name)) fields[name] = canonical(value);
  }
  if (isRaw(meta["labels"])) fields["labels"] = canonical(meta["labels"]);
  return { key: what, what, fields, text: what, source: { file: `cluster/${resource}.json`, line: 1 } };
}

/** Compares the objects of two clusters; a resource that one side has not recorded is told, since nothing says what became of it. */
export function compareObjects(before: Snapshot, after: Snapshot, report: Report): void {
  const one = (kind: ChangeKind, resource: string, items: (snapshot: Snapshot) => Item[]): void => {
    const [a, b] = [before.cluster.missing.get(resource), after.cluster.missing.get(resource)];
    if (a !== undefined && b !== undefined) return;
    const why = a === undefined ? (b === undefined ? null : `missing after: ${b}`) : `missing before: ${a}`;
    if (why !== null) report.unknown.push({ at: "cluster", what: resource, why });
    else compareItems("cluster", kind, items(before), items(after), report);
  };
  one("node", "nodes", nodeItems);
  one("pod", "pods", (snapshot) => snapshot.cluster.pods.map(podItem));
  one("service", "services", (snapshot) => snapshot.cluster.services.map(serviceItem));
  one("endpoint", "endpointslices.discovery.k8s.io", (snapshot) =>
    snapshot.cluster.endpointSlices.filter((slice) => slice.service !== null).flatMap(endpointItems),
  );
  const raw = (snapshot: Snapshot, resource: string): Item[] =>
    (snapshot.cluster.raw.get(resource) ?? []).flatMap((object) => rawItem(resource, object) ?? []);
  const resources = new Set([...before.cluster.raw.keys(), ...after.cluster.raw.keys()]);
  for (const resource of [...resources].filter((each) => !NOT_RAW.has(each)).toSorted()) {
    const recorded = (snapshot: Snapshot): boolean => snapshot.cluster.raw.has(resource);
    if (recorded(before) && recorded(after))
      compareItems("cluster", "object", raw(before, resource), raw(after, resource), report);
    else
      report.unknown.push({
        at: "cluster",
        what: resource,
        why: recorded(before) ? "not recorded after" : "not recorded before",
      });
  }
}
