/** Schema of kubewalk.render/v1. The types are RenderDocument of src/core/networks/render/print.ts, and those of its claims. */
import { z } from "zod";
import type { RenderDocument } from "../networks/render/print.ts";
import type { Same } from "./same.ts";

const family = z.union([z.literal(4), z.literal(6)]);
const xtFamily = z.enum(["ip", "ip6"]);
const nftFamily = z.enum(["ip", "ip6", "inet", "arp", "bridge", "netdev"]);
const expression = z.json().describe("As libnftables-json(5) has it");
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

const link = z.object({
  name: z.string(),
  type: z.string().describe("iproute2's kind: bridge, vxlan, veth … or loopback, ethernet"),
  mtu: z.number().optional(),
  mac: z.string().optional(),
  up: z.boolean().optional(),
  master: z.string().nullable().optional(),
  peer: z.string().optional().describe("Other end of a veth pair: PLACE NAME"),
  hairpin: z.boolean().optional(),
  attributes: z.record(z.string(), scalar).optional().describe("What only its kind has, by iproute2's names"),
});

const address = z.object({ dev: z.string(), address: z.string(), scope: z.string().optional() });

const route = z.object({
  family,
  table: z.number().describe("254 main, 255 local"),
  dst: z.string(),
  type: z.string().describe("unicast, local, blackhole …"),
  metric: z.number(),
  protocol: z.string().optional(),
  scope: z.string().optional(),
  src: z.string().nullable().optional(),
  mtu: z.number().nullable().optional(),
  ways: z.array(
    z.object({
      via: z.string().nullable(),
      dev: z.string().nullable(),
      weight: z.number().optional(),
      onlink: z.boolean().optional(),
    }),
  ),
});

const ruleLookup = z.object({ family, priority: z.number(), selector: z.string(), action: z.string() });

const neighbour = z.object({
  dev: z.string(),
  ip: z.string(),
  mac: z.string().nullable().optional(),
  state: z.string().optional(),
  proxy: z.boolean().optional(),
});

const fdb = z.object({
  dev: z.string(),
  mac: z.string(),
  dst: z.string().nullable().optional(),
  master: z.string().nullable().optional(),
  state: z.string().optional(),
  vlan: z.number().nullable().optional(),
});

const chain = z.union([
  z.object({
    backend: z.literal("iptables"),
    family: xtFamily,
    table: z.string(),
    chain: z.string(),
    policy: z.string().nullable().optional(),
  }),
  z.object({
    backend: z.literal("nft"),
    family: nftFamily,
    table: z.string(),
    chain: z.string(),
    base: z
      .object({ type: z.string(), hook: z.string(), priority: z.number(), policy: z.enum(["accept", "drop"]) })
      .nullable()
      .describe("Null for a regular chain"),
  }),
]);

const chainName = z.union([
  z.object({ backend: z.literal("iptables"), family: xtFamily, table: z.string(), chain: z.string() }),
  z.object({ backend: z.literal("nft"), family: nftFamily, table: z.string(), chain: z.string() }),
]);

const rule = z
  .union([z.string(), z.object({ expr: z.array(expression), comment: z.string().nullable().optional() })])
  .describe("iptables: as iptables-save prints it, without -A CHAIN");

const set = z.union([
  z.object({
    backend: z.literal("ipset"),
    name: z.string(),
    type: z.string(),
    family: z.enum(["inet", "inet6"]).nullable(),
    elements: z.array(z.string()),
  }),
  z.object({
    backend: z.literal("nft"),
    family: nftFamily,
    table: z.string(),
    name: z.string(),
    isMap: z.boolean(),
    keyTypes: z.array(z.string()),
    valueType: z.string().nullable(),
    flags: z.array(z.string()).optional(),
    timeout: z.number().optional().describe("Seconds"),
    elements: z.array(expression),
  }),
]);

const claimed = {
  owner: z.string().describe("Program that puts it there"),
  at: z.string().describe("Place of the namespace: NODE/host, NODE/pod/NAMESPACE/NAME, NODE/netns/NAME"),
  optional: z.boolean().optional(),
};

const claim = z.union([
  z.object({ ...claimed, kind: z.literal("link"), state: link }),
  z.object({ ...claimed, kind: z.literal("address"), state: address }),
  z.object({ ...claimed, kind: z.literal("route"), state: route }),
  z.object({ ...claimed, kind: z.literal("rule-lookup"), state: ruleLookup }),
  z.object({ ...claimed, kind: z.literal("neighbour"), state: neighbour }),
  z.object({ ...claimed, kind: z.literal("fdb"), state: fdb }),
  z.object({ ...claimed, kind: z.literal("sysctl"), state: z.object({ key: z.string(), value: z.string() }) }),
  z.object({
    ...claimed,
    kind: z.literal("chain"),
    state: chain,
    rules: z.array(rule).nullable().describe("Null: the chain's rules are claims of their own"),
    hashed: z.string().optional().describe("The name stands for one that begins so"),
    freeOrder: z.number().optional().describe("So many of its first rules may stand in any order"),
    freeComments: z.literal(true).optional().describe("Comments of its rules are not compared"),
  }),
  z.object({
    ...claimed,
    kind: z.literal("rule"),
    chain: chainName,
    state: rule,
    freeOrder: z.literal(true).optional(),
  }),
  z.object({ ...claimed, kind: z.literal("set"), state: set, hashed: z.string().optional() }),
]);

const machine = z.object({
  name: z.string(),
  devices: z.array(
    z.object({ name: z.string(), mtu: z.number(), mac: z.string().nullable(), addresses: z.array(z.string()) }),
  ),
  routes: z.array(z.object({ dst: z.string(), via: z.string().nullable(), dev: z.string() })),
});

export const renderSchema = z
  .object({
    format: z.literal("kubewalk.render/v1"),
    network: z.string(),
    mode: z.string().nullable().describe("As asked for; null: as the objects say, else the network's first"),
    machines: z.array(machine).describe("What each machine has before the network comes"),
    claims: z.array(claim).describe("Kernel state that the network's programs make"),
    files: z
      .array(z.object({ at: z.string(), path: z.string(), text: z.string() }))
      .describe("Files of daemons, by their usual path or the command that reads them"),
    notes: z
      .array(z.object({ at: z.string(), title: z.string(), lines: z.array(z.string()) }))
      .describe("What is neither kernel state nor a file"),
  })
  .meta({ title: "What kubewalk render prints" });

export const renderIsCurrent: Same<RenderDocument, z.infer<typeof renderSchema>> = true;
