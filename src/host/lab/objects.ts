/** A scenario's short words as the Kubernetes objects that they stand for. */
import type { WrittenObject } from "../../core/networks/render/objects.ts";
import { OWN_API } from "../../core/networks/render/own-kinds.ts";
import { isRecord, part, type Fields } from "../../core/networks/render/plain.ts";
import type { PodsSpec, PortSpec, Scenario, ServiceSpec, Written } from "./scenario.ts";
import type { WiredMachine, Wiring } from "./wiring.ts";

interface Meta {
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** An object whose every field stands where the scenario's words for it stand. */
function object(where: Written, apiVersion: string, kind: string, metadata: Meta, rest: Fields): WrittenObject {
  const { file, line } = where;
  const { name, namespace = "" } = metadata;
  const value = { apiVersion, kind, metadata: { ...metadata }, ...rest };
  return { apiVersion, kind, name, namespace, value, file, line, lineOf: () => line };
}

const bare = (address: string): string => address.replace(/\/\d+$/, "");

/** Addresses that a node is known by: those on lo, else of its first device. */
export function nodeAddresses(machine: WiredMachine): string[] {
  return (machine.loopback.length > 0 ? machine.loopback : (machine.devices[0]?.addresses ?? [])).map(bare);
}

function nodeObjects(scenario: Scenario, wiring: Wiring): WrittenObject[] {
  return scenario.nodes.flatMap((node) => {
    const machine = wiring.machines.find((each) => each.name === node.name);
    if (machine === undefined) return [];
    const addresses = node.addresses.length > 0 ? node.addresses : nodeAddresses(machine);
    const labels = {
      "kubernetes.io/hostname": node.name,
      "kubernetes.io/os": "linux",
      ...(node.zone === null ? {} : { "topology.kubernetes.io/zone": node.zone }),
      ...(node.rack === null ? {} : { rack: node.rack }),
      ...(node.controlPlane ? { "node-role.kubernetes.io/control-plane": "" } : {}),
      ...node.labels,
    };
    const spec = node.podCIDRs.length === 0 ? {} : { podCIDR: node.podCIDRs[0], podCIDRs: node.podCIDRs };
    const status = {
      addresses: [
        ...addresses.map((address) => ({ type: "InternalIP", address })),
        { type: "Hostname", address: node.name },
      ],
      conditions: [{ type: "Ready", status: "True" }],
    };
    const annotations = { ...node.annotations };
    return [object(node, "v1", "Node", { name: node.name, labels, annotations }, { spec, status })];
  });
}

/** What the machines have, for those who compute what comes on top; what a Machine of the file says besides stays. */
function machineObjects(scenario: Scenario, wiring: Wiring): WrittenObject[] {
  const written = new Map(
    scenario.objects.flatMap((each) =>
      each.apiVersion === OWN_API && each.kind === "Machine" ? [[each.name, each] as const] : [],
    ),
  );
  const isCluster = new Set(scenario.nodes.map((each) => each.name));
  return wiring.machines.flatMap((machine): WrittenObject[] => {
    if (machine.kind === "host" && !isCluster.has(machine.name)) return [];
    const devices = [
      ...(machine.loopback.length > 0 ? [{ name: "lo", mtu: 65_536, addresses: machine.loopback }] : []),
      ...machine.devices,
    ];
    const routes = machine.routes.flatMap(({ to, via }) =>
      via.map((each) => ({ to, via: each, dev: deviceTo(machine, each) })),
    );
    const given = written.get(machine.name);
    const spec = {
      devices,
      routes,
      ...(given !== undefined && isRecord(given.value["spec"]) ? given.value["spec"] : {}),
    };
    const where = given ?? scenario;
    return [object(where, OWN_API, "Machine", { name: machine.name }, { spec })];
  });
}

const toNumber = (ip: string): number => ip.split(".").reduce((sum, each) => sum * 256 + Number(each), 0);

/** The device that reaches a neighbour: the one whose network holds it, else the first. */
export function deviceTo(machine: WiredMachine, via: string): string {
  const found = machine.devices.find((each) =>
    each.addresses.some((text) => {
      const [ip = "", length = ""] = text.split("/");
      if (ip.includes(":") || via.includes(":"))
        return ip.includes(":") && via.includes(":") && ip.replace(/[^:]*$/, "") === via.replace(/[^:]*$/, "");
      const size = 2 ** (32 - Number(length));
      return Math.floor(toNumber(ip) / size) === Math.floor(toNumber(via) / size);
    }),
  );
  return (found ?? machine.devices[0])?.name ?? "eth0";
}

const containerPort = ({ name, port, protocol, hostPort, hostIP }: PortSpec): Fields => ({
  ...(name === null ? {} : { name }),
  containerPort: port,
  protocol,
  ...(hostPort === null ? {} : { hostPort }),
  ...(hostIP === null ? {} : { hostIP }),
});

function podObjects(spec: PodsSpec, nodes: readonly string[], first: number): WrittenObject[] {
  const on = spec.on.length > 0 ? spec.on : nodes;
  return Array.from({ length: spec.count ?? 1 }, (_, i) => {
    const name = spec.count === null ? spec.name : `${spec.name}-${i + 1}`;
    // Pods of different kinds do not all begin on the first node.
    const nodeName = on[(spec.on.length > 0 ? i : first + i) % on.length] ?? "";
    const address = spec.addresses[i];
    const containers = [{ name: spec.name, image: "kubewalk/lab", ports: spec.ports.map(containerPort) }];
    const ready = [{ type: "Ready", status: spec.ready ? "True" : "False" }];
    const { namespace, labels, annotations } = spec;
    return object(
      spec,
      "v1",
      "Pod",
      {
        name,
        namespace,
        labels: { ...labels },
        ...(Object.keys(annotations).length > 0 ? { annotations: { ...annotations } } : {}),
      },
      {
        spec: { nodeName, containers, ...(spec.hostNetwork ? { hostNetwork: true } : {}), ...spec.spec },
        status: { conditions: ready, ...(address === undefined ? {} : { podIP: address, podIPs: [{ ip: address }] }) },
      },
    );
  });
}

function serviceObject(service: ServiceSpec): WrittenObject {
  const ports = service.ports.map(({ name, port, targetPort, protocol, nodePort }) => ({
    ...(name === null ? {} : { name }),
    port,
    targetPort,
    protocol,
    ...(nodePort === null ? {} : { nodePort }),
  }));
  const selector = service.type === "ExternalName" ? {} : { selector: service.selector };
  const { name, namespace, annotations } = service;
  const meta = { name, namespace, ...(Object.keys(annotations).length > 0 ? { annotations: { ...annotations } } : {}) };
  return object(service, "v1", "Service", meta, { spec: { type: service.type, ...selector, ports, ...service.spec } });
}

/** All objects of a scenario: what its words stand for, then those of its further documents. */
export function objectsOf(scenario: Scenario, wiring: Wiring): WrittenObject[] {
  const nodes = scenario.nodes.map((each) => each.name);
  const pods: WrittenObject[] = [];
  for (const each of scenario.pods) pods.push(...podObjects(each, nodes, pods.length));
  const made = [
    ...pods,
    ...scenario.services.map(serviceObject),
    ...scenario.policies.map((each) =>
      object(
        each,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        { name: each.name, namespace: each.namespace },
        { spec: each.spec },
      ),
    ),
  ];
  const machines = machineObjects(scenario, wiring);
  const raw = scenario.objects.filter(
    (each) =>
      !(each.apiVersion === OWN_API && each.kind === "Machine" && machines.some(({ name }) => name === each.name)),
  );
  const known = new Set(raw.flatMap((each) => (each.kind === "Namespace" ? [each.name] : [])));
  const spaces = [...new Set(["default", "kube-system", ...[...made, ...raw].map((each) => each.namespace)])].filter(
    (name) => name !== "" && !known.has(name),
  );
  // The API server gives every namespace its name as a label.
  const namespaces = spaces.map((name) =>
    object(scenario, "v1", "Namespace", { name, labels: { "kubernetes.io/metadata.name": name } }, {}),
  );
  for (const each of raw)
    if (each.kind === "Namespace")
      part(part(each.value, "metadata"), "labels")["kubernetes.io/metadata.name"] ??= each.name;
  return [...namespaces, ...nodeObjects(scenario, wiring), ...machines, ...made, ...raw];
}
