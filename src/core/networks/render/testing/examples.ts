/** For tests: renderings of the examples. */
import { readFileSync } from "node:fs";
import { readObjects } from "../objects.ts";
import { RENDERERS } from "../renderers.ts";
import type { Rendering } from "../renderer.ts";

const FOLDER = "examples/render";

/** Renders examples/render/FILES. Throws when there is no such network. */
export function renderExample(network: string, mode: string | null, ...files: string[]): Rendering {
  const objects = files.flatMap((name) => readObjects(readFileSync(`${FOLDER}/${name}`, "utf8"), name));
  const renderer = RENDERERS.find((each) => each.name === network);
  if (renderer === undefined) throw new Error(`no renderer ${network}`);
  return renderer.render(objects, { mode });
}
