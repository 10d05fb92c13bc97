/** kubelet's configuration file. */
import { parse } from "yaml";
import { flagOf } from "./flags.ts";
import { IntentError } from "./network.ts";
import type { Machine } from "./site.ts";

/**
 * The KubeletConfiguration that kubelet reads on this machine: the file of `--config`, else the one that was recorded for it. Null when
 * neither was recorded, or it holds no object. Throws IntentError when it is no YAML.
 */
export function kubeletConfiguration(machine: Machine): Readonly<Record<string, unknown>> | null {
  const path = flagOf(machine.command("kubelet")?.words ?? [], "config");
  const file = (path === null ? null : machine.file(path)) ?? machine.file("kubelet.yaml");
  if (file === null) return null;
  let value: unknown;
  try {
    value = parse(file.text);
  } catch (error) {
    throw new IntentError(`${file.source.file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
}
