/** A case on disk: how it was set up, what was sent, what the kernel did, and the snapshot of that moment. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Question } from "../src/core/model/walk.ts";
import type { Files } from "./collect.ts";
import type { Observed, Probe, Ruleset, World } from "./world.ts";

export interface KernelCase {
  format: "kubewalk.kernel-case/v1";
  /** What it shows, in a sentence. */
  title: string;
  /** SEED:INDEX it was found at; null for one written by hand. */
  found: string | null;
  kernel: string;
  question: Question;
  observed: Observed;
  /** Rules met in the kernel's order by namespace, where they were what differed. */
  probe: Probe;
  world: World;
  ruleset: Ruleset;
  snapshot: Files;
}

/** Reads one; throws when it is not of this format. */
export function readCase(path: string): KernelCase {
  const c = JSON.parse(readFileSync(path, "utf8")) as KernelCase;
  if (c.format !== "kubewalk.kernel-case/v1") throw new Error(`${path}: not a kernel case`);
  return c;
}

/** Writes one as DIR/NAME.json; answers the path. */
export function writeCase(dir: string, name: string, c: KernelCase): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `${name}.json`);
  writeFileSync(path, `${JSON.stringify(c, null, 1)}\n`);
  return path;
}
