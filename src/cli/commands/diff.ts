/** `kubewalk diff`: what the nodes have against what they should have. */
import { diff } from "../../core/diff/diff.ts";
import { IntentError } from "../../core/networks/network.ts";
import type { Host } from "../define/shared.ts";
import { EXIT, UsageError } from "../exit.ts";
import { lines } from "../io.ts";
import type { Session } from "../session.ts";
import { progressLine, styleFor, type ColorChoice } from "../terminal.ts";
import { diffLines } from "../text/diff.ts";

export interface DiffOptions {
  format: "text" | "json";
  color: ColorChoice;
  nodes: readonly string[] | undefined;
  all: boolean;
}

/** Prints the comparison. Resolves to the exit status. Rejects with UsageError for an unknown node or a configuration that makes no sense. */
export async function showDiff(session: Session, options: DiffOptions, host: Host): Promise<number> {
  const known = session.snapshot.cluster.nodes.map((node) => node.name);
  for (const name of options.nodes ?? [])
    if (!known.includes(name)) throw new UsageError(`no node "${name}"; there are ${known.join(", ") || "none"}`);
  if (known.length === 0)
    throw new UsageError(
      "the snapshot holds no Node objects (cluster/nodes.json), so nothing says what should be there",
    );
  const progress = progressLine(host.io, host.now);
  let result;
  try {
    result = diff(session.snapshot, {
      ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
      onProgress: progress.show,
    });
  } catch (error) {
    if (error instanceof IntentError) throw new UsageError(error.message);
    throw error;
  } finally {
    await progress.end();
  }
  const text =
    options.format === "json"
      ? [JSON.stringify({ format: "kubewalk.diff/v1", ...result }, null, 2)]
      : diffLines(result, options.all, styleFor(options.color, host.io));
  await host.io.out.write(lines(text));
  return result.differences.length > 0 ? EXIT.failed : EXIT.answered;
}
