/** `kubewalk render`: what a network would program. */
import { readFileSync } from "node:fs";
import { ParseError } from "../../core/model/source.ts";
import { IntentError } from "../../core/networks/network.ts";
import { readObjects, type WrittenObject } from "../../core/networks/render/objects.ts";
import { renderText, type RenderFormat } from "../../core/networks/render/print.ts";
import { RENDERERS } from "../../core/networks/render/renderers.ts";
import { EXIT, UsageError } from "../exit.ts";
import { lines, type Io } from "../io.ts";
import { table } from "../text/width.ts";

export interface RenderFlags {
  files: readonly string[];
  nodes: readonly string[] | undefined;
  mode: string | null;
  list: boolean;
  format: RenderFormat;
}

async function readAll(path: string, io: Io): Promise<string> {
  if (path === "-") {
    const chunks: Uint8Array[] = [];
    for await (const chunk of io.stdin) chunks.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
    return Buffer.concat(chunks).toString("utf8");
  }
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Prints the rendering. Resolves to the exit status. Rejects with UsageError for an unknown network, mode or node, and for objects that make no sense. */
export async function render(network: string | undefined, flags: RenderFlags, io: Io): Promise<number> {
  if (flags.list) {
    const rows = RENDERERS.map(({ name, about, modes }) => [name, modes.join(", ") || "-", about]);
    await io.out.write(lines(table([["NETWORK", "MODES", "WHAT"], ...rows])));
    return EXIT.answered;
  }
  const names = RENDERERS.map((each) => each.name).join(", ");
  if (network === undefined) throw new UsageError(`render needs a network: ${names}`);
  const renderer = RENDERERS.find((each) => each.name === network);
  if (renderer === undefined) throw new UsageError(`no network "${network}"; there are ${names}`);
  if (flags.files.length === 0) throw new UsageError("render needs objects: -f FILE, or -f - for standard input");
  if (flags.mode !== null && !renderer.modes.includes(flags.mode))
    throw new UsageError(
      renderer.modes.length === 0
        ? `${network} has no modes to choose from`
        : `${network} has no mode "${flags.mode}"; there are ${renderer.modes.join(", ")}`,
    );
  try {
    const objects: WrittenObject[] = [];
    for (const path of flags.files)
      objects.push(...readObjects(await readAll(path, io), path === "-" ? "standard input" : path));
    const nodes = objects.filter((each) => each.kind === "Node").map((each) => each.name);
    const missing = nodes.length === 0 ? [] : (flags.nodes ?? []).filter((name) => !nodes.includes(name));
    if (missing.length > 0) throw new UsageError(`no Node "${missing[0] ?? ""}"; there are ${nodes.join(", ")}`);
    await io.out.write(renderText(renderer.render(objects, { mode: flags.mode }), flags.format, flags.nodes));
    return EXIT.answered;
  } catch (error) {
    if (error instanceof ParseError || error instanceof IntentError) throw new UsageError(error.message);
    throw error;
  }
}
