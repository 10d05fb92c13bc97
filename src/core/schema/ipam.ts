/** Schema of kubewalk.ipam/v1. The type is src/core/networks/calico/ipam/report-types.ts. */
import { z } from "zod";
import type { IpamReport } from "../networks/calico/ipam/report-types.ts";
import type { Same } from "./same.ts";

const small = z.int().min(0);
const count = z.union([z.int().min(0), z.string().regex(/^\d+$/)]).describe("As a decimal string beyond 2^53");
const family = z.union([z.literal(4), z.literal(6)]);
const pod = z.object({ namespace: z.string(), name: z.string() });

const pool = z
  .object({
    name: z.string(),
    cidr: z.string(),
    blockSize: z.int().describe("Prefix length of its blocks"),
    disabled: z.boolean(),
    uses: z.array(z.string()),
    nodeSelector: z.string().nullable(),
    namespaceSelector: z.string().nullable(),
    automatic: z.boolean().describe("Pods get its addresses without asking for it"),
    addresses: z.object({ size: count, used: small }),
    blocks: z.object({ size: count, claimed: small, unclaimed: count }),
  })
  .describe("An IPPool of Calico");

const block = z.object({
  cidr: z.string(),
  pool: z.string().nullable(),
  node: z.string().nullable().describe("Whose it is; virtual:load-balancer of Services; null when nobody's"),
  affinity: z.string().nullable().describe("State of its BlockAffinity; null when there is none"),
  size: small,
  used: small,
  free: small,
  borrowed: small.describe("Addresses of it that other nodes use"),
});

const range = z
  .object({
    node: z.string(),
    network: z.string().describe("Name of the CNI network"),
    cidrs: z.array(z.string()),
    size: count,
    used: small,
    last: z.string().nullable().describe("The address that was given out last"),
  })
  .describe("A range set of the CNI plugin host-local on one node");

const next = z.object({
  node: z.string(),
  family,
  address: z.string().nullable().describe("Null when there is none, or a random start decides"),
  from: z.string().nullable().describe("The block or range"),
  pool: z.string().nullable(),
  rule: z.enum(["owned-block", "new-block", "reclaimed-block", "borrowed", "requested", "next-in-range", "none"]),
  owner: z.string().nullable().describe("Whose block it is, when it is another's"),
  because: z.string(),
});

export const ipamSchema = z
  .object({
    format: z.literal("kubewalk.ipam/v1"),
    takenAt: z.string().nullable(),
    pools: z.array(pool),
    blocks: z.array(block),
    ranges: z.array(range),
    podCIDRs: z
      .object({
        cluster: z.array(z.object({ cidr: z.string(), nodeMask: z.int(), nodes: count, used: small })),
        nodes: z.array(z.object({ node: z.string(), podCIDRs: z.array(z.string()) })),
        problems: z.array(
          z.object({ node: z.string(), kind: z.enum(["missing", "outside", "overlaps"]), because: z.string() }),
        ),
      })
      .nullable()
      .describe("Null where nothing follows the nodes' podCIDRs"),
    next: z.array(next).describe("Addresses that the next pods of each node get, in order"),
    leaked: z
      .array(
        z.object({
          address: z.string(),
          from: z.string(),
          node: z.string().nullable(),
          handle: z.string().nullable(),
          pod: pod.nullable(),
          because: z.string(),
        }),
      )
      .describe("Given out, and nobody has it"),
    unrecorded: z
      .array(z.object({ address: z.string(), namespace: z.string(), name: z.string(), node: z.string().nullable() }))
      .describe("A pod has it, and it was not given out"),
    duplicates: z.array(z.object({ address: z.string(), pods: z.array(pod) })).describe("Several pods have it"),
    exhausted: z
      .array(z.object({ node: z.string(), family, because: z.string() }))
      .describe("Nodes without an address for their next pod"),
  })
  .meta({ title: "What kubewalk ipam says" });

export const ipamIsCurrent: Same<IpamReport, z.infer<typeof ipamSchema>> = true;
