/** Files that come with the lab: its agent and its scenarios. */
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LabError } from "./parts.ts";

/** Beside the built command, beside this source, and as seen from a bundle in a folder of node_modules. */
const PLACES = ["./lab/", "./", "../../src/host/lab/"];

/** Path of a file that comes with the lab, `agent/agent.py`. Throws LabError when it is not there. */
export function shippedFile(name: string): string {
  for (const place of PLACES) {
    const path = fileURLToPath(new URL(place + name, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new LabError(`${name} did not come with this kubewalk: run npm run build`);
}

/** Names of the scenarios that come with kubewalk, sorted, each with its file. */
export function shippedScenarios(): Map<string, string> {
  const folder = shippedFile("scenarios");
  const names = readdirSync(folder).filter((name) => name.endsWith(".yaml"));
  return new Map(names.toSorted().map((name) => [name.slice(0, -".yaml".length), `${folder}/${name}`]));
}
