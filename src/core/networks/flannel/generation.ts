/** How flannel fills its tunnel's tables, which changed over the years. */
import { fieldOf, type JsonObject } from "../cni/json-config.ts";
import type { Site } from "../site.ts";

/**
 * `static` since v0.9: a route, a neighbour and an FDB entry for each peer. `l3-miss` (v0.2 to v0.8): FDB entries for each peer, and
 * neighbours when the kernel asks for them. `l2-miss` (2014): both when the kernel asks.
 */
export type Generation = "static" | "l3-miss" | "l2-miss";

/** The generation of a version. */
function generationOfVersion(major: number, minor: number): Generation {
  if (major > 0 || minor >= 9) return "static";
  return minor >= 2 ? "l3-miss" : "l2-miss";
}

/** flanneld's image, not that of its CNI plugin: `docker.io/flannel/flannel:v0.25.1`, `quay.io/coreos/flannel:v0.8.0-amd64`. */
const IMAGE = /(?:^|\/)(?:[^/:]*-)?flannel:v?(\d+)\.(\d+)/;

/** Version of flannel's DaemonSet as [major, minor]; null when it was not recorded. */
export function versionOf(site: Site): readonly [number, number] | null {
  for (const set of (site.cluster.raw.get("daemonsets.apps") ?? []) as JsonObject[]) {
    const template = fieldOf((fieldOf(set, "spec") ?? {}) as JsonObject, "template") as JsonObject | undefined;
    const spec = template === undefined ? undefined : (fieldOf(template, "spec") as JsonObject | undefined);
    const containers = spec === undefined ? [] : ((fieldOf(spec, "containers") ?? []) as JsonObject[]);
    for (const container of containers) {
      const parts = IMAGE.exec(String(container["image"]));
      if (parts !== null) return [Number(parts[1]), Number(parts[2])];
    }
  }
  return null;
}

/** The generation of the cluster's flannel; `static` when its version was not recorded. */
export function generationOf(site: Site): Generation {
  const version = versionOf(site);
  return version === null ? "static" : generationOfVersion(...version);
}

/**
 * Whether the cluster's flannel writes the rules that are told here: those before v0.21 wrote others (network/iptables.go), first into the
 * built-in chains themselves. A version that was not recorded is held to be a later one.
 */
export function hasPresentRules(site: Site): boolean {
  const version = versionOf(site);
  return version === null || version[0] > 0 || version[1] >= 21;
}
