/** A whole snapshot: every namespace of every node, the fabric between them, the cluster's objects. */
import type { Cluster } from "./cluster.ts";
import type { Namespace } from "./namespace.ts";
import type { ParseError, Source } from "./source.ts";

/** A stretch of layer 2 between machines: who is attached to it, by node and link name. */
export interface Segment {
  name: string;
  attached: { node: string; dev: string }[];
  source: Source;
}

export interface Fabric {
  segments: Segment[];
  routers: string[];
  external: string[];
}

export interface Snapshot {
  takenAt: string | null;
  nodes: string[];
  /** Versions and the like from snapshot.json, as they stand. */
  info: Record<string, unknown>;
  namespaces: Namespace[];
  /** Null: nothing was recorded of what lies between the nodes. */
  fabric: Fabric | null;
  cluster: Cluster;
  /** Files that could not be read as what they should be; what they would have said is in no model. */
  problems: ParseError[];
  /** Paths of what was recorded of machines' files and programs (nodes/NODE/files, programs, bpf), sorted. */
  files: readonly string[];
  /** Raw text of a file by its path in the snapshot, for showing a line; undefined when there is none. */
  text(file: string): string | undefined;
  /** One line of a file, without its line end; empty when there is none. */
  line(source: Source): string;
}
