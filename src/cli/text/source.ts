/** Where something stands in the snapshot. */
import type { Source } from "../../core/model/source.ts";

/** `nodes/n1/host/route4.json:3`; empty when there is no line that says it. */
export function formatSource(source: Source | undefined): string {
  return source === undefined ? "" : `${source.file}:${source.line}`;
}
