/** A scenario's YAML, read and checked. */
import { isNode, LineCounter, parseAllDocuments } from "yaml";
import { ParseError } from "../../core/model/source.ts";
import { readObjects, type FieldPath, type WrittenObject } from "../../core/networks/render/objects.ts";
import { FieldReader } from "../../core/networks/render/own-kinds.ts";
import { isRecord } from "../../core/networks/render/plain.ts";
import { RENDERERS } from "../../core/networks/render/renderers.ts";
import { readFabric } from "./scenario-fabric.ts";
import { Item, isLabel, named } from "./scenario-item.ts";
import { readPods, readPolicies, readServices } from "./scenario-workload.ts";
import type { DaemonSpec, FaultSpec, NetworkChoice, NodeSpec, Scenario } from "./scenario.ts";

const FIELDS = [
  "name",
  "about",
  "network",
  "mode",
  "proxy",
  "also",
  "families",
  "nodes",
  "fabric",
  "pods",
  "services",
  "policies",
  "daemons",
  "faults",
  "sysctls",
];

/** The first document as an object whose fields know their lines; the rest of the text, on its own lines. */
function split(text: string, file: string, usual: string): { scenario: WrittenObject; rest: string } {
  const lines = new LineCounter();
  const [document] = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  if (document === undefined || !("contents" in document)) throw new ParseError({ file, line: 1 }, "holds no scenario");
  const [error] = document.errors;
  if (error !== undefined) throw new ParseError({ file, line: lines.linePos(error.pos[0]).line }, error.message);
  const value: unknown = document.toJS();
  const lineOf = (path: FieldPath): number => {
    for (let length = path.length; length > 0; length--) {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return lines.linePos(document.contents?.range?.[0] ?? document.range[0]).line;
  };
  const line = lineOf([]);
  if (!isRecord(value))
    throw new ParseError({ file, line }, "expected the fields of a scenario, such as network: and nodes:");
  const name = typeof value["name"] === "string" ? value["name"] : usual;
  const end = document.range[2];
  const rest = text.slice(0, end).replaceAll(/[^\n]/g, "") + text.slice(end);
  return {
    scenario: { apiVersion: "kubewalk/v1", kind: "Scenario", namespace: "", name, value, file, line, lineOf },
    rest,
  };
}

function choice(item: Item, field: string, network: string, mode: string | null): NetworkChoice {
  const renderer = RENDERERS.find((each) => each.name === network);
  if (renderer === undefined)
    throw item.error(field, `should be one of none, ${RENDERERS.map((each) => each.name).join(", ")}, not ${network}`);
  if (mode !== null && !renderer.modes.includes(mode))
    throw item.error(
      field === "network" ? "mode" : field,
      renderer.modes.length === 0
        ? `is not for ${network}, which has no modes`
        : `should be one of ${renderer.modes.join(", ")}, not ${mode}`,
    );
  return { network, mode };
}

function readNetworks(item: Item): NetworkChoice[] {
  const out: NetworkChoice[] = [];
  const network = item.required("network");
  if (network !== "none") out.push(choice(item, "network", network, item.text("mode")));
  else if (item.text("mode") !== null) throw item.error("mode", "is not for network: none");
  const proxy = item.text("proxy") ?? "none";
  if (proxy !== "none") out.push(choice(item, "proxy", "kube-proxy", proxy));
  for (const words of item.textsOrOne("also")) {
    const [other = "", mode = null] = words.split(/\s+/);
    if (out.some((each) => each.network === other)) throw item.error("also", `names ${other} twice`);
    out.push(choice(item, "also", other, mode));
  }
  return out;
}

const node = (name: string, where: { file: string; line: number }): NodeSpec => ({
  ...where,
  name,
  rack: null,
  zone: null,
  addresses: [],
  podCIDRs: [],
  labels: {},
  annotations: {},
  controlPlane: false,
});

function readNodes(item: Item): NodeSpec[] {
  const nodes: NodeSpec[] = [];
  if (item.isNumber("nodes")) {
    const count = item.whole("nodes", 1, 250) ?? 1;
    for (let i = 1; i <= count; i++) nodes.push(node(`n${i}`, item.where("nodes")));
    return nodes;
  }
  for (const each of item.items("nodes")) {
    const words = each.isText() ? each.asText() : null;
    if (words !== null) {
      nodes.push(node(named(each, words), each.where()));
      continue;
    }
    each.only("name", "rack", "zone", "addresses", "podCIDRs", "labels", "annotations", "controlPlane");
    nodes.push({
      ...each.where(),
      name: named(each, each.required("name")),
      rack: each.text("rack"),
      zone: each.text("zone"),
      addresses: each.addresses("addresses"),
      podCIDRs: each.networks("podCIDRs"),
      labels: each.texts("labels"),
      annotations: each.texts("annotations"),
      controlPlane: each.flag("controlPlane") ?? false,
    });
  }
  return nodes;
}

/** `daemons: [bird, {name: haproxy, on: [n1], …}]`: what is besides belongs to the daemon. */
function readDaemons(item: Item, machines: ReadonlySet<string>): DaemonSpec[] {
  return item.items("daemons").map((each) => {
    if (each.isText()) return { ...each.where(), name: each.asText(), on: [], options: {} };
    const on = each.textsOrOne("on");
    const stranger = on.find((name) => !machines.has(name));
    if (stranger !== undefined) throw each.error("on", `names ${stranger}, which is no machine of the scenario`);
    return { ...each.where(), name: each.required("name"), on, options: each.rest("name", "on") };
  });
}

function readFaults(item: Item): FaultSpec[] {
  return item
    .items("faults")
    .map((each) =>
      each.isText()
        ? { ...each.where(), id: each.asText(), options: {} }
        : { ...each.where(), id: each.required("id"), options: each.rest("id") },
    );
}

function readFamilies(item: Item): (4 | 6)[] {
  const given = item.numbers("families");
  const found = given.filter((each): each is 4 | 6 => each === 4 || each === 6);
  if (found.length !== given.length) throw item.error("families", "should be a list of 4 and 6");
  return found.length === 0 ? [4] : [...new Set(found)];
}

function unique(names: readonly { name: string; file: string; line: number }[], what: string): void {
  const seen = new Set<string>();
  for (const { name, file, line } of names) {
    if (seen.has(name)) throw new ParseError({ file, line }, `${what} ${name} is there twice`);
    seen.add(name);
  }
}

/**
 * Reads a scenario. `file` is named in errors; `usual` is its name when it does not say one. Throws ParseError with file and line for what is
 * no YAML, for fields that are not known, and for values that do not fit.
 */
export function readScenario(text: string, file: string, usual: string): Scenario {
  const { scenario, rest } = split(text, file, usual);
  const item = new Item(new FieldReader(scenario, [], scenario.value), scenario.value, scenario, []);
  item.only(...FIELDS);
  if (!isLabel(scenario.name)) throw item.error("name", `should be letters, digits and dashes, not ${scenario.name}`);
  const objects = readObjects(rest, file);
  const nodes = readNodes(item);
  unique(nodes, "node");
  const fabric = readFabric(item, nodes);
  unique(fabric.routers, "router");
  const machines = new Set([...nodes, ...fabric.routers].map((each) => each.name));
  for (const each of objects) if (each.apiVersion === "kubewalk/v1") machines.add(each.name);
  if (fabric.kind !== "custom") machines.add("fabric");
  if (fabric.outside) machines.add("outside");
  const names = nodes.map((each) => each.name);
  return {
    file,
    line: scenario.line,
    name: scenario.name,
    about: item.text("about") ?? "",
    networks: readNetworks(item),
    families: readFamilies(item),
    nodes,
    fabric,
    pods: readPods(item, names),
    services: readServices(item),
    policies: readPolicies(item),
    daemons: readDaemons(item, machines),
    faults: readFaults(item),
    sysctls: item.texts("sysctls"),
    objects,
  };
}
