/** One node's folder: its commands, its kernel, its namespaces. */
import type { Namespace, NamespaceId } from "../../model/namespace.ts";
import { ParseError } from "../../model/source.ts";
import type { Sysctls } from "../../model/sysctl.ts";
import type { AsciiBytes } from "../ascii-bytes.ts";
import { parseCommands, type CommandRecord } from "../commands.ts";
import { parseNetns, type NetnsInfo } from "../netns.ts";
import { AspectReader, type NodeContext, type SnapshotFiles } from "./aspect-reader.ts";
import { SAVE_FILES } from "./iptables-rulesets.ts";
import { readNamespace, readSysctls } from "./namespace.ts";
import { NO_FACTS, nodeFacts } from "./node-facts.ts";
import type { SnapshotMemory } from "./snapshot-memory.ts";

/** A node's folders under nodes/NODE: `netns` by folder name, in order. */
export interface NodeFolders {
  node: string;
  netns: string[];
}

function readCommands(files: SnapshotFiles, node: string, problems: ParseError[]): Map<string, CommandRecord> | null {
  const path = `nodes/${node}/commands.json`;
  try {
    const text = files.read(path);
    return text === undefined ? null : parseCommands(text, path);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    problems.push(error);
    return null;
  }
}

/** The first 200 characters or so of each save by iptables in these folders. */
function* saveBeginnings(files: SnapshotFiles, dirs: readonly string[]): Generator<string> {
  for (const dir of dirs) {
    for (const name of SAVE_FILES) {
      const path = `${dir}/${name}`;
      let text: string | AsciiBytes | undefined;
      try {
        text = files.ascii?.(path) ?? files.read(path);
      } catch (error) {
        // Reported where the ruleset itself is read.
        if (!(error instanceof ParseError)) throw error;
      }
      if (text !== undefined && text.length > 0) yield text.slice(0, 200);
    }
  }
}

/** A function that keeps what it reads for the one time that `again` reads it. */
function keptOnce<T>(read: (path: string) => T): { ahead: (path: string) => T; again: (path: string) => T } {
  const kept = new Map<string, T>();
  return {
    ahead(path) {
      if (!kept.has(path)) kept.set(path, read(path));
      return kept.get(path) as T;
    },
    again(path) {
      if (!kept.has(path)) return read(path);
      const found = kept.get(path) as T;
      kept.delete(path);
      return found;
    },
  };
}

/** Files that keep what is read `ahead` for the one time that it is read again: saves by iptables can be large. */
function readingAhead(files: SnapshotFiles): { files: SnapshotFiles; ahead: SnapshotFiles } {
  const paths = (): Iterable<string> => files.paths();
  const text = keptOnce((path) => files.read(path));
  const ascii = keptOnce((path) => files.ascii?.(path));
  return {
    files: { paths, read: text.again, ascii: ascii.again },
    ahead: { paths, read: text.ahead, ascii: ascii.ahead },
  };
}

/** The settings of the root namespace, quietly: what is wrong with them is reported where that namespace is read. */
function hostSysctls(context: NodeContext, dir: string): Sysctls | null {
  const reader = new AspectReader({ ...context, problems: [] }, dir);
  const sysctls = readSysctls(reader);
  return reader.missing.has("sysctl") ? null : sysctls;
}

/**
 * Reads every namespace of a node, the root one first. Two namespaces that claim one pod: the first has its place.
 * `onNamespace` is called after each. Malformed files are added to `problems`. `memory` is what the nodes read before taught.
 */
export function readNode(
  from: SnapshotFiles,
  folders: NodeFolders,
  problems: ParseError[],
  memory: SnapshotMemory,
  onNamespace: (place: string) => void,
): Namespace[] {
  const { node } = folders;
  const { files, ahead } = readingAhead(from);
  const hostDir = `nodes/${node}/host`;
  const dirs = [hostDir, ...folders.netns.map((name) => `nodes/${node}/netns/${name}`)];
  const context: NodeContext = {
    files,
    node,
    commands: readCommands(files, node, problems),
    facts: NO_FACTS,
    problems,
    memory,
  };
  context.facts = nodeFacts(hostSysctls({ ...context, files: ahead }, hostDir), saveBeginnings(ahead, dirs));

  const host: NamespaceId = { place: `${node}/host`, node, pod: null, inode: null, path: null };
  const out = [readNamespace(context, hostDir, host)];
  onNamespace(host.place);
  const places = new Set<string>([host.place]);
  for (const name of folders.netns) {
    const dir = `nodes/${node}/netns/${name}`;
    const id = namespaceId(context, dir, name, places);
    places.add(id.place);
    out.push(readNamespace(context, dir, id));
    onNamespace(id.place);
  }
  return out;
}

function namespaceId(context: NodeContext, dir: string, folder: string, taken: ReadonlySet<string>): NamespaceId {
  const { node, problems } = context;
  const file = `${dir}/netns.json`;
  const reader = new AspectReader(context, dir);
  const text = reader.plain("netns.json");
  const info: NetnsInfo | undefined = text === undefined ? undefined : reader.guard(null, () => parseNetns(text, file));
  const inode = info?.inode ?? (/^\d{1,15}$/.test(folder) ? Number(folder) : null);
  let pod = info?.pod ?? null;
  let place = pod === null ? `${node}/netns/${folder}` : `${node}/pod/${pod.namespace}/${pod.name}`;
  if (taken.has(place)) {
    problems.push(new ParseError({ file, line: 1 }, `another namespace of ${node} is that of the pod already`));
    pod = null;
    place = `${node}/netns/${folder}`;
  }
  return { place, node, pod, inode, path: info?.path ?? null };
}
