/** `kubewalk assemble`: a snapshot from pieces. */
import { assemble } from "../../host/collect/assemble.ts";
import type { Host } from "../define/shared.ts";
import { taking } from "./taking.ts";

/** Archives are read one after the other: reading them is not what takes time. */
const PARALLEL = 1;

/** Milliseconds for an archive; none on a disk takes that long. */
const TIMEOUT = 3_600_000;

/** Builds the snapshot. Resolves to the exit status. Rejects with UsageError for a piece that is none, or a file that cannot be written. */
export function assemblePieces(
  pieces: readonly string[],
  options: { archive: string | null; format: "text" | "json"; redact: boolean },
  host: Host,
): Promise<number> {
  return taking({ ...options, parallel: PARALLEL, timeout: TIMEOUT }, host, (common) => assemble(pieces, common));
}
