/** Schemas of kubewalk.walk/v1: the question of a batch line, and the answer. The types are src/core/model/walk.ts. */
import { z } from "zod";
import type { Answer, Question } from "../model/walk.ts";
import type { Same } from "./same.ts";

const proto = z.enum(["tcp", "udp", "icmp", "sctp"]);
const port = z.int().min(1).max(65_535);
const u32 = z.int().min(0).max(4_294_967_295);

export const sourceSchema = z
  .object({
    file: z.string().describe("Path within the snapshot, nodes/n1/host/iptables-save.txt"),
    line: z.int().min(1).describe("Line, counted from 1"),
  })
  .describe("Where a fact stands in a snapshot");

export const questionSchema = z
  .object({
    from: z.string().describe("A place, or a short name of one: n1/pod/shop/client-1, shop/client-1, n1/host"),
    proto: proto.describe("Protocol of the packet"),
    to: z.string().describe("An address, or a short name that leads to one: 10.96.0.1, svc:shop/web, pod:shop/web-1"),
    port: port.optional().describe("Destination port of tcp, udp and sctp"),
    sourcePort: port.optional(),
    mark: u32.optional().describe("Firewall mark of the sending socket (SO_MARK)"),
    ttl: z.int().min(1).max(255).optional(),
    size: z.int().min(1).max(65_535).optional().describe("Bytes of the packet from its IP header on"),
    tcpFlags: z.string().optional().describe("Flags that are set, comma-separated: SYN, or SYN,ACK"),
  })
  .meta({ title: "A question of kubewalk walk --batch" });

const integer = z.union([z.int(), z.string().regex(/^\d+$/)]).describe("An integer; as a decimal string beyond 2^53");

export const shareSchema = z
  .object({ num: integer, den: integer })
  .describe("An exact fraction of all packets asked about");

const tuple = z.object({
  src: z.string(),
  dst: z.string(),
  sport: z.int().optional(),
  dport: z.int().optional(),
  icmpType: z.int().optional(),
  icmpCode: z.int().optional(),
  icmpId: z.int().optional(),
});

const changed = z
  .object({
    src: z.string().optional(),
    dst: z.string().optional(),
    sport: z.int().optional(),
    dport: z.int().optional(),
    mark: z.int().optional(),
    ctmark: z.int().optional(),
    ttl: z.int().optional(),
  })
  .describe("What the step rewrote; only what changed is there");

export const stepSchema = z
  .object({
    direction: z.enum(["forward", "reply"]),
    at: z.string().describe("Place: n1/host, n1/pod/shop/web-1, outside/host"),
    kind: z.enum([
      "rule",
      "policy",
      "route",
      "rule-lookup",
      "neighbour",
      "fdb",
      "bridge",
      "tunnel",
      "link",
      "conntrack",
      "sysctl",
      "socket",
      "fabric",
      "program",
    ]),
    family: z.string().optional().describe("ip, ip6, inet, bridge … of a rule or policy"),
    table: z.string().optional(),
    chain: z.string().optional(),
    layer: z.int().min(0).describe("0 for the packet, 1 for what carries it through a tunnel, and so on"),
    verdict: z
      .string()
      .optional()
      .describe("Of a rule: jump X, goto X, return, accept, drop, reject, continue, stolen, queue"),
    text: z.string(),
    source: sourceSchema.optional(),
    changed: changed.optional(),
    conntrack: z
      .object({ proto: z.string(), original: tuple, reply: tuple, zone: z.int().optional() })
      .optional()
      .describe("Of the conntrack step that leaves an entry behind: its two tuples"),
  })
  .describe("One decision, and what decided");

export const outcomeSchema = z.object({
  share: shareSchema.nullable().describe("Null only where it cannot be known; then because says why"),
  client: z
    .enum([
      "answered",
      "timeout",
      "refused",
      "network-unreachable",
      "host-unreachable",
      "not-permitted",
      "prohibited",
      "invalid",
      "too-big",
      "inconclusive",
    ])
    .describe("What the calling program meets"),
  disposition: z
    .enum([
      "delivered",
      "answered",
      "left-the-cluster",
      "dropped",
      "rejected",
      "no-route",
      "neighbour-unreachable",
      "no-listener",
      "martian",
      "rp-filter",
      "ttl-exceeded",
      "too-big",
      "loop",
      "source-refused-by-fabric",
      "inconclusive",
    ])
    .describe("What became of the packet"),
  server: z
    .object({
      at: z.string(),
      address: z.string(),
      port: z.int(),
      clientAddress: z.string().describe("The source address that the server sees"),
    })
    .optional(),
  because: z
    .object({ text: z.string(), source: sourceSchema.optional() })
    .describe("The decision that settled the outcome"),
  steps: z.array(stepSchema).optional().describe("Forward, then reply; the likeliest path where several agree"),
});

export const answerSchema = z
  .object({
    format: z.literal("kubewalk.walk/v1"),
    from: z.string(),
    proto,
    to: z.string(),
    port: port.optional(),
    verdict: z.enum(["answered", "failed", "mixed", "inconclusive"]),
    outcomes: z.array(outcomeSchema),
  })
  .meta({ title: "An answer of kubewalk walk" });

export const questionIsCurrent: Same<Question, z.infer<typeof questionSchema>> = true;
export const answerIsCurrent: Same<Answer, z.infer<typeof answerSchema>> = true;
