/** A snapshot from its files: design.md's folder, made into the model. No I/O: whoever has the files gives them. */
import type { Cluster } from "../model/cluster.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Fabric, Snapshot } from "../model/snapshot.ts";
import { ParseError } from "../model/source.ts";
import { CLUSTER_RESOURCES, emptyCluster, parseClusterResource } from "./cluster.ts";
import { parseFabric } from "./fabric.ts";
import { parseSnapshotJson, type SnapshotInfo } from "./snapshot-json.ts";
import type { SnapshotFiles } from "./snapshot/aspect-reader.ts";
import { LineReader } from "./snapshot/line-reader.ts";
import { readNode, type NodeFolders } from "./snapshot/node.ts";
import { SnapshotMemory } from "./snapshot/snapshot-memory.ts";

export type { SnapshotFiles } from "./snapshot/aspect-reader.ts";

/** How far the reading is: namespaces done of all that there are; `place` is the last one done. */
export interface Progress {
  done: number;
  total: number;
  place: string;
}

const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Folders of a node whose files are no kernel state: configuration, command lines, BPF maps. */
const KEPT: ReadonlySet<string> = new Set(["files", "programs", "bpf"]);

/** The nodes' folders, in the order of their names, the names of the files of cluster/, and the paths of what else was recorded of nodes. */
function survey(files: SnapshotFiles): { folders: Map<string, NodeFolders>; resources: string[]; kept: string[] } {
  const netns = new Map<string, Set<string>>();
  const resources: string[] = [];
  const kept: string[] = [];
  for (const path of files.paths()) {
    const parts = path.split("/");
    if (parts[0] === "nodes" && parts.length > 2) {
      const found = netns.get(parts[1]!) ?? new Set();
      netns.set(parts[1]!, found);
      if (parts[2] === "netns" && parts.length > 4) found.add(parts[3]!);
      if (parts.length > 3 && KEPT.has(parts[2]!)) kept.push(path);
    } else if (parts[0] === "cluster" && parts.length === 2 && path.endsWith(".json"))
      resources.push(parts[1]!.slice(0, -".json".length));
  }
  const folders = new Map(
    [...netns]
      .toSorted(([a], [b]) => byName(a, b))
      .map(([node, names]) => [node, { node, netns: [...names].toSorted(byName) }] as const),
  );
  return { folders, resources: resources.toSorted(byName), kept: kept.toSorted(byName) };
}

function readCluster(files: SnapshotFiles, resources: readonly string[], problems: ParseError[]): Cluster {
  const cluster = emptyCluster();
  for (const resource of resources) {
    const path = `cluster/${resource}.json`;
    try {
      parseClusterResource(files.read(path) ?? "", path, resource, cluster);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      problems.push(error);
      cluster.missing.set(resource, error.message);
    }
  }
  for (const resource of CLUSTER_RESOURCES) {
    if (!resources.includes(resource)) cluster.missing.set(resource, `cluster/${resource}.json was not recorded`);
  }
  return cluster;
}

/**
 * Reads a snapshot. Files that are absent, cut off or malformed make their part missing (`Namespace.missing`,
 * `Cluster.missing`, `Snapshot.problems`) and the rest is read nevertheless. Without snapshot.json the nodes are the
 * folders under nodes/ that fabric.json does not name as routers or external hosts.
 * `onProgress` is called after each namespace.
 * Throws ParseError when snapshot.json or fabric.json is malformed, or when there is no node at all.
 */
export function assembleSnapshot(files: SnapshotFiles, onProgress?: (progress: Progress) => void): Snapshot {
  const { folders, resources, kept } = survey(files);
  const infoText = files.read("snapshot.json");
  const fabricText = files.read("fabric.json");
  const fabric: Fabric | null = fabricText === undefined ? null : parseFabric(fabricText, "fabric.json");
  const beyond = new Set([...(fabric?.routers ?? []), ...(fabric?.external ?? [])]);
  const info: SnapshotInfo =
    infoText === undefined
      ? { takenAt: null, nodes: [...folders.keys()].filter((name) => !beyond.has(name)), info: {} }
      : parseSnapshotJson(infoText, "snapshot.json");

  const problems: ParseError[] = [];
  const cluster = readCluster(files, resources, problems);
  // Nodes without a folder get a root namespace of which everything is missing.
  const order = [...info.nodes, ...[...folders.keys()].filter((name) => !info.nodes.includes(name))];
  if (order.length === 0) throw new ParseError({ file: "nodes", line: 1 }, "the snapshot holds no node");
  for (const node of info.nodes) {
    if (!folders.has(node))
      problems.push(new ParseError({ file: "snapshot.json", line: 1 }, `nodes/${node} is not in the snapshot`));
  }
  const all = order.map((node) => folders.get(node) ?? { node, netns: [] });
  const total = all.reduce((n, each) => n + 1 + each.netns.length, 0);
  const namespaces: Namespace[] = [];
  let done = 0;
  const memory = new SnapshotMemory();
  for (const each of all) {
    const read = readNode(files, each, problems, memory, (place) => onProgress?.({ done: ++done, total, place }));
    for (const namespace of read) namespaces.push(namespace);
  }
  const lines = new LineReader(files, memory.marks);
  return {
    takenAt: info.takenAt,
    nodes: info.nodes,
    info: info.info,
    namespaces,
    fabric,
    cluster,
    problems,
    files: kept,
    text: (file) => lines.text(file),
    line: (source) => lines.line(source.file, source.line),
  };
}
