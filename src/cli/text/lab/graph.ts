/** kubewalk.lab-graph/v1 as text, DOT and Mermaid. */
import type { GraphDevice, LabGraph } from "../../../core/model/lab.ts";

const deviceText = ({ name, kind, up, addresses, master }: GraphDevice): string =>
  [`${name} (${kind}${up ? "" : ", down"})`, ...addresses, ...(master === null ? [] : [`in ${master}`])].join("  ");

/** Other ends by `PLACE DEVICE`. */
function ends(graph: LabGraph): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const add = (from: { place: string; device: string }, to: { place: string; device: string }): void => {
    const key = `${from.place} ${from.device}`;
    found.set(key, [...(found.get(key) ?? []), `${to.place} ${to.device}`]);
  };
  for (const { from, to } of graph.links) {
    add(from, to);
    add(to, from);
  }
  return found;
}

/** Namespaces with their devices, and behind each what it leads to. */
export function graphLines(graph: LabGraph): string[] {
  const others = ends(graph);
  return graph.namespaces.flatMap(({ place, netns, devices }) => [
    `${place}  ${netns}`,
    ...devices.map((device) => {
      const to = others.get(`${place} ${device.name}`);
      return `  ${deviceText(device)}${to === undefined ? "" : `  → ${to.join(", ")}`}`;
    }),
  ]);
}

const quoted = (text: string): string => `"${text.replaceAll('"', '\\"')}"`;

/** For Graphviz: a box for each namespace, an edge for each pair. */
export function graphDot(graph: LabGraph): string[] {
  const node = (place: string, device: string): string => quoted(`${place} ${device}`);
  return [
    `graph ${quoted(graph.lab)} {`,
    "  node [shape=box];",
    ...graph.namespaces.flatMap(({ place, devices }, i) => [
      `  subgraph cluster_${i} {`,
      `    label=${quoted(place)};`,
      ...devices.map(
        (each) => `    ${node(place, each.name)} [label=${quoted([each.name, ...each.addresses].join("\\n"))}];`,
      ),
      ...devices
        .filter((each) => each.master !== null)
        .map((each) => `    ${node(place, each.name)} -- ${node(place, each.master ?? "")};`),
      "  }",
    ]),
    ...graph.links.map(
      ({ kind, from, to }) =>
        `  ${node(from.place, from.device)} -- ${node(to.place, to.device)}${kind === "tunnel" ? " [style=dashed]" : ""};`,
    ),
    "}",
  ];
}

/** For Mermaid: a subgraph for each namespace. */
export function graphMermaid(graph: LabGraph): string[] {
  const ids = new Map<string, string>();
  const id = (place: string, device: string): string => {
    const key = `${place} ${device}`;
    const known = ids.get(key) ?? `d${ids.size}`;
    ids.set(key, known);
    return known;
  };
  return [
    "graph LR",
    ...graph.namespaces.flatMap(({ place, devices }, i) => [
      `  subgraph n${i}[${quoted(place)}]`,
      ...devices.map((each) => `    ${id(place, each.name)}[${quoted([each.name, ...each.addresses].join("<br/>"))}]`),
      ...devices
        .filter((each) => each.master !== null)
        .map((each) => `    ${id(place, each.name)} --- ${id(place, each.master ?? "")}`),
      "  end",
    ]),
    ...graph.links.map(
      ({ kind, from, to }) =>
        `  ${id(from.place, from.device)} ${kind === "tunnel" ? "-.-" : "---"} ${id(to.place, to.device)}`,
    ),
  ];
}
