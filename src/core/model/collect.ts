/** What `kubewalk collect` and `kubewalk assemble` say of what they made. */

/** One node's part. */
export interface CollectedNode {
  /** Its name in the snapshot. */
  node: string;
  /** `partial`: what came before it went wrong is in the snapshot. */
  state: "whole" | "partial" | "failed";
  /** What went wrong; null when nothing did. */
  error: string | null;
  /** By the node's own clock, RFC 3339; null when it did not say. */
  startedAt: string | null;
  /** Duration on the node; null when it did not say. */
  seconds: number | null;
  /** Seconds by which its clock is ahead, and by how much that may be wrong; null for what was not just taken. */
  clock: { ahead: number; error: number } | null;
  files: number;
  bytes: number;
  /** Files that changed while it was captured; `netns`: namespaces came or went. */
  changed: string[];
  /** How many secrets were removed there. */
  removed: number;
  /** Running pods, NAMESPACE/NAME, whose network namespace was not found. */
  podsNotFound: string[];
}

export interface CollectedReport {
  format: "kubewalk.collected/v1";
  /** The file that was written. */
  snapshot: string;
  seconds: number;
  interrupted: boolean;
  nodes: CollectedNode[];
  /** Why resources of the cluster are not in it, by resource. */
  missing: Record<string, string>;
  /** How many values were removed from the cluster's objects, by resource. */
  removed: Record<string, number>;
}
