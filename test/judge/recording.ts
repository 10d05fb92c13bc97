/** A recording on disk: its snapshot's files, its truth, and what its cluster's addresses are. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseTruth, type Truth } from "./truth.ts";

interface Objects {
  items: {
    metadata: { name: string };
    spec?: {
      type?: string;
      clusterIPs?: string[];
      externalIPs?: string[];
      ports?: { nodePort?: number }[];
      hostNetwork?: boolean;
    };
    status?: {
      loadBalancer?: { ingress?: { ip?: string }[] };
      podIPs?: { ip: string }[];
      addresses?: { address: string }[];
    };
  }[];
}

export interface Recording {
  dir: string;
  snapshot: string;
  truth: Truth;
  /** Host names of nodes and pods. */
  names: ReadonlySet<string>;
  /** Text of a file of the snapshot. */
  text(file: string): string | undefined;
  /** What an address and port is to the cluster: `pod`, `svc web-lb LoadBalancer`, `node port`, `nowhere` … */
  kindOf(to: string, port: number): string;
}

/** Throws when the folder holds no truth. */
export function openRecording(dir: string): Recording {
  const snapshot = join(dir, "snapshot");
  const cache = new Map<string, string | undefined>();
  const text = (file: string): string | undefined => {
    if (!cache.has(file))
      cache.set(file, existsSync(join(snapshot, file)) ? readFileSync(join(snapshot, file), "utf8") : undefined);
    return cache.get(file);
  };
  const objects = (kind: string): Objects["items"] => {
    const json = text(`cluster/${kind}.json`);
    return json === undefined ? [] : (JSON.parse(json) as Objects).items;
  };
  const kinds = new Map<string, string>();
  const nodePorts = new Map<number, string>();
  for (const p of objects("pods"))
    for (const ip of p.status?.podIPs ?? []) if (p.spec?.hostNetwork !== true) kinds.set(ip.ip, "pod");
  for (const n of objects("nodes")) for (const a of n.status?.addresses ?? []) kinds.set(a.address, "node");
  for (const s of objects("services")) {
    for (const ip of s.spec?.clusterIPs ?? []) kinds.set(ip, `svc ${s.metadata.name}`);
    for (const ip of s.spec?.externalIPs ?? []) kinds.set(ip, `svc ${s.metadata.name} externalIP`);
    for (const i of s.status?.loadBalancer?.ingress ?? [])
      if (i.ip !== undefined) kinds.set(i.ip, `svc ${s.metadata.name} LB`);
    for (const p of s.spec?.ports ?? [])
      if (p.nodePort !== undefined) nodePorts.set(p.nodePort, `nodePort ${s.metadata.name}`);
  }
  const names = new Set([...objects("nodes"), ...objects("pods")].map((o) => o.metadata.name));
  names.add("cp");
  return {
    dir,
    snapshot,
    truth: parseTruth(readFileSync(join(dir, "truth.json"), "utf8")),
    names,
    text,
    kindOf: (to, port) => {
      const kind = kinds.get(to) ?? "elsewhere";
      return kind === "node"
        ? (nodePorts.get(port) ?? `node:${port}`)
        : port === 7777
          ? `${kind} (nothing listens)`
          : kind;
    },
  };
}

/** Folders below `dir` that hold a recording, sorted; empty when there are none. */
export function recordingsIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((name) => existsSync(join(dir, name, "truth.json")))
    .toSorted()
    .map((name) => join(dir, name));
}
