/** A node that can be asked for its archive. */
import type { Extent } from "./node-script.ts";

export interface NodeSource {
  /** How people call it: a node's name, what was given to ssh, a file. */
  label: string;
  /** The node's name in the cluster, where that is known before the node says it. */
  name: string | null;
  /**
   * The bytes that the script prints on the node. Rejects or throws with what went wrong, in words for people. `signal` ends it, and
   * whatever was made for it is removed before the iteration ends. All of the node, or where the source can, `extent` of it.
   */
  open(signal: AbortSignal, extent?: Extent | null): AsyncIterable<Buffer>;
}

/** A node could not be asked; the message is for people. */
export class NodeError extends Error {
  override readonly name = "NodeError";
}
