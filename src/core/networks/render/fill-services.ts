/** Addresses, node ports and EndpointSlices of Services, as the API server and the EndpointSlice controller write them. */
import { errorOf, type WrittenObject } from "./objects.ts";
import { isRecord, listOf, nextFree, part, textOf, textsOf, type Fields } from "./plain.ts";

/** The cluster's Service networks (`--service-cluster-ip-range`). */
const SERVICE_ADDRESS = {
  4: (n: number): string => `10.96.${n >> 8}.${n & 255}`,
  6: (n: number): string => `fd00:10:96::${n.toString(16)}`,
} as const;
/** The lowest addresses are left to those who ask for one (KEP-3070), such as `kubernetes` and `kube-dns`. */
const FIRST_ADDRESS = 11;
/** `--service-node-port-range` begins here. */
const FIRST_NODE_PORT = 30_000;

const familyName = { 4: "IPv4", 6: "IPv6" } as const;

/** Families that a Service asks for (KEP-563): those that it names, both when it wants two, else the cluster's first. */
export function familiesOf(spec: Fields, cluster: readonly (4 | 6)[]): (4 | 6)[] {
  const ips = textsOf(spec["clusterIPs"]).filter((ip) => ip !== "None");
  const one = textOf(spec["clusterIP"]);
  const given = ips.length > 0 || one === "" || one === "None" ? ips : [one];
  if (given.length > 0) return given.map((ip) => (ip.includes(":") ? 6 : 4));
  const named = textsOf(spec["ipFamilies"]).map((name): 4 | 6 => (name === "IPv6" ? 6 : 4));
  const wanted = named.length > 0 ? named : cluster.slice(0, 1);
  const policy = textOf(spec["ipFamilyPolicy"]);
  const both = policy === "PreferDualStack" || policy === "RequireDualStack";
  return both ? [...new Set([...wanted, ...cluster])] : wanted;
}

function fillAddresses(all: readonly WrittenObject[], cluster: readonly (4 | 6)[]): void {
  const taken = new Set(
    all.flatMap(({ value }) => {
      const spec = part(value, "spec");
      return [textOf(spec["clusterIP"]), ...textsOf(spec["clusterIPs"])];
    }),
  );
  for (const service of all) {
    const spec = part(service.value, "spec");
    if (spec["type"] === "ExternalName") continue;
    const families = familiesOf(spec, cluster);
    spec["ipFamilies"] ??= families.map((family) => familyName[family]);
    if (spec["clusterIP"] === undefined && spec["clusterIPs"] === undefined) {
      spec["clusterIPs"] = families.map((family) => {
        const ip = nextFree(taken, SERVICE_ADDRESS[family], FIRST_ADDRESS);
        taken.add(ip);
        return ip;
      });
    }
    spec["clusterIPs"] ??= [spec["clusterIP"]];
    spec["clusterIP"] ??= textsOf(spec["clusterIPs"])[0];
  }
}

function fillNodePorts(all: readonly WrittenObject[]): void {
  const ports = (service: WrittenObject): Fields[] => listOf(part(service.value, "spec")["ports"]);
  // One number may serve two protocols.
  const key = (number: unknown, port: Fields): string => `${String(number)}/${textOf(port["protocol"]) || "TCP"}`;
  const taken = new Set(all.flatMap((each) => ports(each).map((port) => key(port["nodePort"], port))));
  for (const service of all) {
    const spec = part(service.value, "spec");
    if (spec["type"] !== "NodePort" && spec["type"] !== "LoadBalancer") continue;
    if (spec["allocateLoadBalancerNodePorts"] === false) continue;
    for (const port of ports(service)) {
      if (port["nodePort"] !== undefined) continue;
      const free = nextFree(taken, (n) => key(n, port), FIRST_NODE_PORT);
      taken.add(free);
      port["nodePort"] = Number.parseInt(free, 10);
    }
  }
}

/** The port of a container by number or name (pkg/api/v1/pod, FindPort); null when it has none of that name. */
function targetPort(pod: WrittenObject, port: Fields): number | null {
  const target = port["targetPort"] || port["port"];
  if (typeof target === "number") return target;
  const protocol = textOf(port["protocol"]) || "TCP";
  const containers = listOf(part(pod.value, "spec")["containers"]);
  const named = containers
    .flatMap((each) => listOf(each["ports"]))
    .find((each) => each["name"] === target && (textOf(each["protocol"]) || "TCP") === protocol);
  const number = named?.["containerPort"];
  return typeof number === "number" ? number : null;
}

function isReady(pod: WrittenObject): boolean {
  const conditions = listOf(part(pod.value, "status")["conditions"]);
  return conditions.some((each) => each["type"] === "Ready" && each["status"] === "True");
}

/** A pod as an endpoint (endpointslice/utils.go, podToEndpoint). */
function endpoint(pod: WrittenObject, ip: string, zone: string | undefined, always: boolean): Fields {
  const serving = isReady(pod);
  const terminating = part(pod.value, "metadata")["deletionTimestamp"] !== undefined;
  return {
    addresses: [ip],
    conditions: { ready: always || (serving && !terminating), serving, terminating },
    nodeName: textOf(part(pod.value, "spec")["nodeName"]),
    ...(zone === undefined ? {} : { zone }),
    targetRef: { kind: "Pod", namespace: pod.namespace, name: pod.name },
  };
}

/** Slices of one Service: for each family one, and for each way in which its ports are found in pods. */
function endpointSlices(
  service: WrittenObject,
  all: readonly WrittenObject[],
  cluster: readonly (4 | 6)[],
): WrittenObject[] {
  const spec = part(service.value, "spec");
  const selector = Object.entries(part(spec, "selector"));
  if (selector.length === 0 || spec["type"] === "ExternalName") return [];
  const zones = new Map(
    all
      .filter((each) => each.kind === "Node")
      .map(({ name, value }) => [name, part(part(value, "metadata"), "labels")["topology.kubernetes.io/zone"]]),
  );
  const chosen = all.filter((each) => {
    if (each.kind !== "Pod" || each.namespace !== service.namespace) return false;
    const labels = part(part(each.value, "metadata"), "labels");
    const over = ["Succeeded", "Failed"].includes(textOf(part(each.value, "status")["phase"]));
    return !over && selector.every(([name, value]) => labels[name] === value);
  });
  const slices: WrittenObject[] = [];
  for (const family of familiesOf(spec, cluster)) {
    const byPorts = new Map<string, Fields[]>();
    for (const pod of chosen) {
      const status = part(pod.value, "status");
      const ips = [...listOf(status["podIPs"]).map((each) => textOf(each["ip"])), textOf(status["podIP"])];
      const ip = ips.find((each) => each !== "" && each.includes(":") === (family === 6));
      if (ip === undefined) continue;
      // A port that the pod does not have under that name is left out.
      const ports = listOf(spec["ports"]).flatMap((port) => {
        const number = targetPort(pod, port);
        const protocol = textOf(port["protocol"]) || "TCP";
        return number === null ? [] : [{ name: textOf(port["name"]), protocol, port: number }];
      });
      const zone = zones.get(textOf(part(pod.value, "spec")["nodeName"]));
      const one = endpoint(
        pod,
        ip,
        typeof zone === "string" ? zone : undefined,
        spec["publishNotReadyAddresses"] === true,
      );
      const key = JSON.stringify(ports);
      byPorts.set(key, [...(byPorts.get(key) ?? []), one]);
    }
    if (byPorts.size === 0) byPorts.set("[]", []);
    for (const [ports, endpoints] of byPorts) {
      const name = `${service.name}-${slices.length + 1}`;
      const value = {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { namespace: service.namespace, name, labels: { "kubernetes.io/service-name": service.name } },
        addressType: familyName[family],
        ports: JSON.parse(ports) as unknown,
        endpoints,
      };
      slices.push({ ...service, apiVersion: value.apiVersion, kind: value.kind, name, value });
    }
  }
  return slices;
}

/** Fills Services in, in place, and returns the EndpointSlices that are lacking. Throws ParseError for one without ports. */
export function fillServices(objects: readonly WrittenObject[], cluster: readonly (4 | 6)[]): WrittenObject[] {
  const all = objects.filter((each) => each.kind === "Service");
  for (const service of all) {
    const spec = part(service.value, "spec");
    const headless = spec["clusterIP"] === "None" || textsOf(spec["clusterIPs"]).includes("None");
    if (listOf(spec["ports"]).length === 0 && spec["type"] !== "ExternalName" && !headless)
      throw errorOf(service, "has no ports");
  }
  fillAddresses(all, cluster);
  fillNodePorts(all);
  const served = new Set(
    objects
      .filter((each) => each.kind === "EndpointSlice")
      .map(({ namespace, value }) => {
        const labels = part(value, "metadata")["labels"];
        return `${namespace}/${isRecord(labels) ? textOf(labels["kubernetes.io/service-name"]) : ""}`;
      }),
  );
  return all
    .filter((each) => !served.has(`${each.namespace}/${each.name}`))
    .flatMap((service) => endpointSlices(service, objects, cluster));
}
