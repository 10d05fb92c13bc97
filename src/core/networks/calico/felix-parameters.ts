/**
 * Felix's configuration on one machine: of FelixConfiguration `default`, that of the node, a file, and the environment, the later before
 * the earlier (felix/config/config_params.go).
 */
import type { Machine, Site } from "../site.ts";
import { calicoObjects } from "./objects.ts";

/** Fields of FelixConfiguration whose parameter has another name in the environment (updateprocessors/felixconfigprocessor.go). */
const PARAMETER_NAMES: Record<string, string> = {
  ipipEnabled: "IpInIpEnabled",
  ipipMTU: "IpInIpMtu",
  externalNodesList: "ExternalNodesCIDRList",
};

/** Names by which Felix's command line may have been recorded. */
const PROGRAMS = ["calico-felix", "felix", "calico-node"] as const;

/** Whether Felix is known to run there. */
export function felixRuns(machine: Machine): boolean {
  return PROGRAMS.some((program) => machine.command(program) !== null);
}

/** A variable of the environment of Felix, the CNI plugin's or calico-node's; null when it is not set. */
export function environment(machine: Machine, name: string): string | null {
  for (const program of PROGRAMS) {
    const value = machine.command(program)?.env.get(name);
    if (value !== undefined) return value;
  }
  return null;
}

const FILE = "/etc/calico/felix.cfg";

/** `Name = value` lines of a configuration file, names in lower case. */
function fileValues(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, name, value] = /^\s*([A-Za-z0-9]+)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) values.set(name.toLowerCase(), value);
  }
  return values;
}

/** Parameters as texts, by their field in FelixConfiguration; lists of texts are joined by commas, others kept as JSON. */
export type Parameters = (field: string) => string | null;

function asText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value.join(",");
  return JSON.stringify(value);
}

export function felixParameters(site: Site, machine: Machine): Parameters {
  const objects = new Map(calicoObjects(site.cluster, "felixconfigurations").map((each) => [each.name, each.spec]));
  const own = objects.get(`node.${machine.name}`);
  const global = objects.get("default");
  const file = fileValues(machine.file(FILE)?.text ?? "");
  const variables = new Map<string, string>();
  for (const program of PROGRAMS)
    for (const [name, value] of machine.command(program)?.env ?? [])
      if (/^FELIX_/i.test(name) && !variables.has(name.toLowerCase())) variables.set(name.toLowerCase(), value);
  return (field) => {
    const name = (PARAMETER_NAMES[field] ?? field).toLowerCase();
    const given = variables.get(`felix_${name}`) ?? file.get(name) ?? asText(own?.[field]) ?? asText(global?.[field]);
    // "none" takes the zero value whatever else is said (config_params.go, resolve).
    return given === "" ? null : (given ?? null);
  };
}
