/** Schema of kubewalk.show/v1. The types are src/core/show/types.ts. */
import { z } from "zod";
import type { ShownPlace, ShownSnapshot } from "../show/types.ts";
import type { Same } from "./same.ts";
import { sourceSchema } from "./walk.ts";

const backend = z.enum(["iptables-nft", "iptables-legacy", "nftables"]);
const count = z.int().min(0);

const link = z.object({
  index: z.int(),
  name: z.string(),
  kind: z.string(),
  up: z.boolean(),
  carrier: z.boolean(),
  mtu: z.int(),
  mac: z.string().nullable(),
  addresses: z.array(z.string()),
  master: z.string().nullable(),
  peer: z.object({ at: z.string(), dev: z.string() }).nullable(),
  source: sourceSchema,
});

const namespace = z.object({
  place: z.string(),
  node: z.string(),
  dir: z.string(),
  links: z.array(link),
  routes: z.object({ ipv4: count, ipv6: count }),
  rules: z.object({ ipv4: count, ipv6: count }),
  neighbours: count,
  fdb: count,
  tables: z.array(
    z.object({ backend, family: z.string(), table: z.string(), chains: count, rules: count, source: sourceSchema }),
  ),
  sets: z.object({ count, entries: count }),
  ipvsServices: count,
  conntrack: count,
  sockets: count,
  missing: z.array(z.object({ aspect: z.string(), reason: z.string() })).describe("What could not be had, and why"),
});

const node = z.object({ name: z.string(), addresses: z.array(z.string()), places: count });

export const showSnapshotSchema = z.object({
  format: z.literal("kubewalk.show/v1"),
  about: z.literal("snapshot"),
  takenAt: z.string().nullable(),
  info: z.record(z.string(), z.unknown()).describe("What else snapshot.json says"),
  nodes: z.array(node),
  beside: z.array(node).describe("Routers and hosts recorded beside the nodes"),
  pods: z.array(
    z.object({
      namespace: z.string(),
      name: z.string(),
      node: z.string().nullable(),
      phase: z.string().nullable(),
      hostNetwork: z.boolean(),
      addresses: z.array(z.string()),
      place: z.string().nullable().describe("Null when its network was not recorded"),
    }),
  ),
  services: z.array(
    z.object({
      namespace: z.string(),
      name: z.string(),
      type: z.string(),
      addresses: z.array(z.string()),
      ports: z.array(z.string()),
      readyEndpoints: count,
    }),
  ),
  namespaces: z.array(namespace),
  segments: z
    .array(z.object({ name: z.string(), attached: z.array(z.object({ node: z.string(), dev: z.string() })) }))
    .nullable()
    .describe("Null when nothing was recorded of what lies between the nodes"),
  missing: z
    .array(z.object({ resource: z.string(), reason: z.string() }))
    .describe("Cluster resources that could not be had"),
  problems: z.array(z.object({ file: z.string(), line: z.int(), message: z.string() })),
});

const line = z.object({ family: z.string().optional(), text: z.string(), source: sourceSchema });

export const showPlaceSchema = z.object({
  format: z.literal("kubewalk.show/v1"),
  about: z.literal("place"),
  namespace,
  routes: z.array(line),
  rules: z.array(line),
  neighbours: z.array(line),
  fdb: z.array(line),
  chains: z.array(
    z.object({
      backend,
      family: z.string(),
      table: z.string(),
      chain: z.string(),
      base: z.string().nullable(),
      rules: count,
      source: sourceSchema,
    }),
  ),
  sets: z.array(z.object({ name: z.string(), type: z.string(), entries: count, source: sourceSchema })),
  ipvs: z.array(line),
  conntrack: z.array(line),
  sockets: z.array(line),
  sysctls: z.array(z.object({ key: z.string(), value: z.string(), source: sourceSchema })),
});

export const showSchema = z
  .discriminatedUnion("about", [showSnapshotSchema, showPlaceSchema])
  .meta({ title: "What kubewalk show says" });

export const showSnapshotIsCurrent: Same<ShownSnapshot, z.infer<typeof showSnapshotSchema>> = true;
export const showPlaceIsCurrent: Same<ShownPlace, z.infer<typeof showPlaceSchema>> = true;
