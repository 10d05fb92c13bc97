/** `kubewalk render`: what a network would program. */
import { readFileSync } from "node:fs";
import { ParseError } from "../../core/model/source.ts";
import { IntentError } from "../../core/networks/network.ts";
import { checkUnique, readObjects, type WrittenObject } from "../../core/networks/render/objects.ts";
import { onMachines, renderDocument, renderText, type RenderFormat } from "../../core/networks/render/print.ts";
import type { Renderer, Rendering } from "../../core/networks/render/renderer.ts";
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

/** The objects of all files, in their order. Standard input is read once, however often it is named. */
async function objectsOf(files: readonly string[], io: Io): Promise<WrittenObject[]> {
  const objects: WrittenObject[] = [];
  for (const path of new Set(files))
    objects.push(...readObjects(await readAll(path, io), path === "-" ? "standard input" : path));
  checkUnique(objects);
  return objects;
}

function rendererFor(network: string | undefined, flags: RenderFlags): Renderer {
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
  return renderer;
}

function onlyOn(rendering: Rendering, nodes: readonly string[] | undefined): Rendering {
  if (nodes === undefined) return rendering;
  const names = rendering.machines.map((each) => each.name);
  const missing = nodes.find((name) => !names.includes(name));
  if (missing !== undefined) throw new UsageError(`no node "${missing}"; there are ${names.join(", ")}`);
  return onMachines(rendering, nodes);
}

/** Kinds whose pods a controller makes: without these there is nothing to program for them. */
const MAKERS: ReadonlySet<string> = new Set(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"]);

/** What a person may have expected and did not get, for standard error. */
function remarks(objects: readonly WrittenObject[]): string[] {
  const maker = objects.find((each) => MAKERS.has(each.kind));
  const unscheduled = objects.filter((each) => {
    const spec = each.value["spec"] as { nodeName?: unknown } | undefined;
    return each.kind === "Pod" && typeof spec?.nodeName !== "string";
  });
  return [
    ...(maker === undefined || objects.some((each) => each.kind === "Pod")
      ? []
      : [`${maker.kind} ${maker.name}: its pods are not made here; write Pods with a nodeName`]),
    ...unscheduled.map((each) => `Pod ${each.name}: without a nodeName it is on no node, and has no network`),
  ];
}

/** Prints the rendering. Resolves to the exit status. Rejects with UsageError for an unknown network, mode or node, and for objects that make no sense. */
export async function render(network: string | undefined, flags: RenderFlags, io: Io): Promise<number> {
  if (flags.list) {
    const rows = RENDERERS.map(({ name, about, modes }) => [name, modes.join(", ") || "-", about]);
    await io.out.write(lines(table([["NETWORK", "MODES", "WHAT"], ...rows])));
    return EXIT.answered;
  }
  const renderer = rendererFor(network, flags);
  try {
    const objects = await objectsOf(flags.files, io);
    const said = remarks(objects);
    const rendering = onlyOn(renderer.render(objects, { mode: flags.mode }), flags.nodes);
    const text =
      flags.format === "json"
        ? `${JSON.stringify(renderDocument(rendering, renderer.name, flags.mode), null, 2)}\n`
        : renderText(rendering, flags.format);
    const empty = text === "" ? [`nothing of form ${flags.format}: ${renderer.name} has none for these objects`] : [];
    await io.err.write(lines([...said, ...empty].map((each) => `note: ${each}`)));
    await io.out.write(text);
    return EXIT.answered;
  } catch (error) {
    if (error instanceof ParseError || error instanceof IntentError) throw new UsageError(error.message);
    throw error;
  }
}
