/** Builds a snapshot from pieces: archives that the script printed on nodes, and lists that kubectl printed. */
import { readFile, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { PodIndex } from "./attribute.ts";
import { collectFrom, type Collected, type CollectOptions, type KnownCluster } from "./collect.ts";
import { fileSource } from "./file-source.ts";
import { cleanObject } from "./kube/clean-object.ts";
import { ListFile } from "./kube/list-file.ts";
import { RESOURCES, type ClusterObject } from "./kube/objects.ts";
import type { SnapshotSink } from "./sink.ts";

/** A piece cannot be used; the message names it. */
export class PieceError extends Error {
  override readonly name = "PieceError";

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
  }
}

interface Pieces {
  nodes: string[];
  lists: string[];
  fabric: string | null;
}

async function sortPieces(paths: readonly string[]): Promise<Pieces> {
  const pieces: Pieces = { nodes: [], lists: [], fabric: null };
  for (const path of paths) {
    const stats = await stat(path).catch(() => null);
    if (stats === null) throw new PieceError(path, "there is no such file or folder");
    if (basename(path) === "fabric.json") pieces.fabric = path;
    else if (stats.isFile()) (path.endsWith(".json") ? pieces.lists : pieces.nodes).push(path);
    else {
      const names = (await readdir(path)).toSorted();
      const lists = names.filter((name) => name.endsWith(".json")).map((name) => join(path, name));
      const archives = names.filter((name) => /\.(?:tar|tgz|tar\.gz)$/.test(name)).map((name) => join(path, name));
      if (lists.length + archives.length === 0)
        throw new PieceError(path, "holds neither archives of nodes (.tar) nor lists of the cluster's objects (.json)");
      pieces.nodes.push(...archives);
      pieces.lists.push(...lists);
    }
  }
  return pieces;
}

/** `pods` and `endpointslices.discovery.k8s.io`, by whatever the file is called: its name, in short or in full, or the objects' kind. */
function resourceOf(path: string, items: readonly ClusterObject[]): string {
  const name = basename(path, ".json");
  const kind = items[0]?.["kind"];
  const found =
    RESOURCES.find(({ file }) => file === name) ??
    RESOURCES.find(({ file }) => file.split(".", 1)[0] === name) ??
    RESOURCES.find((each) => each.kind === kind);
  return found?.file ?? name;
}

function itemsOf(path: string, text: string): ClusterObject[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new PieceError(path, `no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const items = typeof list === "object" && list !== null ? (list as Record<string, unknown>)["items"] : undefined;
  if (!Array.isArray(items)) throw new PieceError(path, "no list of objects, as kubectl get -o json prints one");
  const objects = items.filter((each): each is ClusterObject => typeof each === "object" && each !== null);
  if (objects.some((each) => each["kind"] === "Secret"))
    throw new PieceError(path, "holds Secrets, which no snapshot may");
  return objects;
}

async function addList(path: string, cluster: KnownCluster, sink: SnapshotSink): Promise<void> {
  const items = itemsOf(path, await readFile(path, "utf8"));
  const resource = resourceOf(path, items);
  const list = new ListFile();
  let removed = 0;
  for (const item of items) {
    if (resource === "pods") cluster.pods.add(item);
    list.add(cleanObject(item, () => removed++));
  }
  if (removed > 0) cluster.removed.set(resource, removed);
  await sink.add(`cluster/${resource}.json`, list.bytes());
}

/**
 * Assembles a snapshot: files are nodes' archives (gzip or not), folders hold such archives or lists of the cluster's objects; a fabric.json is
 * taken as it is. One file of a node is in memory at a time. Rejects with PieceError for a piece that is not there or no piece, and
 * with what the sink throws; archives that are damaged are in the nodes' results, with what could be read of them in the snapshot.
 */
export async function assemble(paths: readonly string[], options: CollectOptions): Promise<Collected> {
  const { nodes, lists, fabric } = await sortPieces(paths);
  if (nodes.length === 0) throw new PieceError(paths[0] ?? "nodes", "there is no archive of a node among the pieces");
  const cluster: KnownCluster = { pods: new PodIndex(), missing: new Map(), removed: new Map(), kubernetes: null };
  for (const list of lists) await addList(list, cluster, options.sink);
  if (fabric !== null) await options.sink.add("fabric.json", await readFile(fabric));
  return collectFrom({ way: "assembled", sources: nodes.map(fileSource), cluster, live: false }, options);
}
