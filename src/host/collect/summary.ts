/** snapshot.json of what was collected. */
import type { NodeResult } from "./gather.ts";

export interface Summary {
  /** RFC 3339. */
  takenAt: string;
  /** How: `api`, `exec-pod`, `ssh`, `local`, `assembled`. */
  way: string;
  /** Version of the command. */
  version: string;
  /** Version of the API server; null when it was not asked. */
  kubernetes: string | null;
  nodes: readonly NodeResult[];
  /** Resources of the cluster that could not be had, and why. */
  missing: ReadonlyMap<string, string>;
  /** Values that were removed from the cluster's objects, by resource. */
  removed: ReadonlyMap<string, number>;
  interrupted: boolean;
}

const rounded = (n: number): number => Math.round(n * 1000) / 1000;

function nodeSummary(node: NodeResult): Record<string, unknown> {
  return {
    state: node.state,
    ...(node.error === null ? {} : { error: node.error }),
    ...(node.startedAt === null ? {} : { startedAt: node.startedAt.toISOString() }),
    ...(node.seconds === null ? {} : { seconds: rounded(node.seconds) }),
    ...(node.clock === null ? {} : { clockAhead: rounded(node.clock.ahead), clockError: rounded(node.clock.error) }),
    ...(node.changed.length === 0 ? {} : { changed: node.changed }),
    removed: node.removed,
    ...(node.podsNotFound.length === 0 ? {} : { podsNotFound: node.podsNotFound }),
  };
}

/** The text of snapshot.json (format kubewalk.snapshot/v1). Nodes of which nothing came are named too: all of theirs is then missing. */
export function snapshotJson(summary: Summary): string {
  const named = summary.nodes.map((node) => ({ name: node.name ?? node.label.replaceAll(/[/\s]+/g, "_"), node }));
  const names = [...new Set(named.map((each) => each.name))].toSorted();
  const doc = {
    format: "kubewalk.snapshot/v1",
    takenAt: summary.takenAt,
    nodes: names,
    ...(summary.kubernetes === null ? {} : { kubernetes: summary.kubernetes }),
    collected: {
      by: `kubewalk ${summary.version}`,
      way: summary.way,
      ...(summary.interrupted ? { interrupted: true } : {}),
      nodes: Object.fromEntries(named.map(({ name, node }) => [name, nodeSummary(node)])),
      ...(summary.missing.size === 0 ? {} : { missing: Object.fromEntries(summary.missing) }),
      ...(summary.removed.size === 0 ? {} : { removed: Object.fromEntries(summary.removed) }),
    },
  };
  return `${JSON.stringify(doc, null, 1)}\n`;
}
