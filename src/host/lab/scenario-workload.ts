/** Pods, Services and policies of a scenario. */
import type { Item } from "./scenario-item.ts";
import { isLabel, named } from "./scenario-item.ts";
import type { PodsSpec, PolicySpec, PortSpec, ServicePortSpec, ServiceSpec } from "./scenario.ts";

const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;
const SERVICE_TYPES = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] as const;

/** `8080`, `53/udp`. */
function shortPort(item: Item): { port: number; protocol: PortSpec["protocol"] } {
  const [, digits = "", word = "tcp"] = /^(\d+)(?:\/(tcp|udp|sctp))?$/i.exec(item.asText()) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw item.error("", `should be a port such as 8080 or 53/udp, not ${item.asText()}`);
  const protocol = PROTOCOLS.find((each) => each === word.toUpperCase()) ?? "TCP";
  return { port, protocol };
}

function portField(item: Item): number {
  const value = item.whole("port", 1, 65_535);
  if (value === null) throw item.error("port", "is missing");
  return value;
}

/** Ports of pods and hosts. */
export function readPorts(item: Item, name: string): PortSpec[] {
  return item.items(name).map((each) => {
    if (each.isText()) return { ...shortPort(each), name: null, hostPort: null, hostIP: null };
    each.only("name", "port", "protocol", "hostPort", "hostIP");
    return {
      name: each.text("name"),
      port: portField(each),
      protocol: each.oneOf("protocol", PROTOCOLS) ?? "TCP",
      hostPort: each.whole("hostPort", 1, 65_535),
      hostIP: each.text("hostIP"),
    };
  });
}

const POD_FIELDS = [
  "name",
  "namespace",
  "count",
  "on",
  "labels",
  "annotations",
  "ports",
  "hostNetwork",
  "ready",
  "addresses",
  "spec",
];

/** What a pod without `ports` serves. */
const USUAL_PORTS: PortSpec[] = (["TCP", "UDP"] as const).map((protocol) => ({
  name: null,
  port: 8080,
  protocol,
  hostPort: null,
  hostIP: null,
}));

/** `pods: 12`, or a list. */
export function readPods(item: Item, nodes: readonly string[]): PodsSpec[] {
  const none = { on: [], annotations: {}, hostNetwork: false, ready: true, addresses: [], spec: {} };
  if (item.isNumber("pods")) {
    const count = item.whole("pods", 0, 20_000) ?? 0;
    const usual = { name: "pod", namespace: "default", count, labels: { app: "pod" }, ports: USUAL_PORTS };
    return count === 0 ? [] : [{ ...item.where("pods"), ...none, ...usual }];
  }
  return item.items("pods").map((each) => {
    each.only(...POD_FIELDS);
    const name = named(each, each.required("name"));
    const on = each.textsOrOne("on");
    const stranger = on.find((other) => !nodes.includes(other));
    if (stranger !== undefined) throw each.error("on", `names ${stranger}, which is no node of the scenario`);
    return {
      ...each.where(),
      name,
      namespace: each.text("namespace") ?? "default",
      count: each.whole("count", 1, 20_000),
      on,
      labels: each.has("labels") ? each.texts("labels") : { app: name },
      annotations: each.texts("annotations"),
      ports: each.has("ports") ? readPorts(each, "ports") : USUAL_PORTS,
      hostNetwork: each.flag("hostNetwork") ?? false,
      ready: each.flag("ready") ?? true,
      addresses: each.addresses("addresses"),
      spec: each.record("spec"),
    };
  });
}

function servicePorts(item: Item): ServicePortSpec[] {
  return item.items("ports").map((each) => {
    if (each.isText()) {
      const short = shortPort(each);
      return { ...short, name: null, targetPort: short.port, nodePort: null };
    }
    each.only("name", "port", "targetPort", "protocol", "nodePort");
    const number = portField(each);
    return {
      name: each.text("name"),
      port: number,
      targetPort: each.isTextOf("targetPort")
        ? each.required("targetPort")
        : (each.whole("targetPort", 1, 65_535) ?? number),
      protocol: each.oneOf("protocol", PROTOCOLS) ?? "TCP",
      nodePort: each.whole("nodePort", 1, 65_535),
    };
  });
}

/** Services. `of` is a word for the selector `{app: OF}`; without one it is the Service's own name. */
export function readServices(item: Item): ServiceSpec[] {
  return item.items("services").map((each) => {
    each.only("name", "namespace", "type", "of", "selector", "ports", "spec", "annotations");
    const name = named(each, each.required("name"));
    const of = each.text("of");
    if (of !== null && each.has("selector")) throw each.error("of", "and selector: one of the two is enough");
    return {
      ...each.where(),
      name,
      namespace: each.text("namespace") ?? "default",
      type: each.oneOf("type", SERVICE_TYPES) ?? "ClusterIP",
      selector: each.has("selector") ? each.texts("selector") : { app: of ?? name },
      // A name is needed when there are several (API validation of Services).
      ports: servicePorts(each).map((one, _, all) =>
        all.length > 1 && one.name === null ? { ...one, name: `p${one.port}-${one.protocol.toLowerCase()}` } : one,
      ),
      spec: each.record("spec"),
      annotations: each.texts("annotations"),
    };
  });
}

/** `{app: web}` of a selector; `NAMESPACE/app` and `app` for short. */
function peer(item: Item): object {
  if (!item.isText()) return { podSelector: { matchLabels: item.rest() } };
  const words = item.asText().split("/");
  const app = words.pop() ?? "";
  const [namespace] = words;
  if (!isLabel(app) && app !== "*")
    throw item.error("", `should be an app, NAMESPACE/app or NAMESPACE/*, not ${item.asText()}`);
  const podSelector = app === "*" ? {} : { matchLabels: { app } };
  return namespace === undefined
    ? { podSelector }
    : { podSelector, namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } } };
}

/** `to: web, from: [client], ports: [8080]` as the spec of a NetworkPolicy for incoming traffic; without `from` nobody may come. */
function shortPolicy(item: Item): Record<string, unknown> {
  const to = item.text("to");
  const podSelector = to === null || to === "*" ? {} : { matchLabels: { app: to } };
  const ports = readPorts(item, "ports").map((each) => ({ protocol: each.protocol, port: each.port }));
  const from = item.items("from").map(peer);
  const ingress =
    from.length === 0 && ports.length === 0
      ? []
      : [{ ...(from.length > 0 ? { from } : {}), ...(ports.length > 0 ? { ports } : {}) }];
  return { podSelector, policyTypes: ["Ingress"], ingress };
}

export function readPolicies(item: Item): PolicySpec[] {
  return item.items("policies").map((each) => {
    each.only("name", "namespace", "spec", "to", "from", "ports");
    const short = ["to", "from", "ports"].some((name) => each.has(name));
    if (short && each.has("spec")) throw each.error("spec", "and to, from, ports: one of the two is enough");
    return {
      ...each.where(),
      name: named(each, each.required("name")),
      namespace: each.text("namespace") ?? "default",
      spec: each.has("spec") ? each.record("spec") : shortPolicy(each),
    };
  });
}
