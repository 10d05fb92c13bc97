/** Schemas of kubewalk.lab-list/v1, kubewalk.lab-probe/v1, kubewalk.lab-graph/v1 and kubewalk.lab-walk/v1. The types are src/core/model/lab.ts. */
import { z } from "zod";
import type { LabGraph, LabList, LabWalk, ProbeReport } from "../model/lab.ts";
import type { Same } from "./same.ts";

const count = z.int().min(0);

export const labListSchema = z
  .object({
    format: z.literal("kubewalk.lab-list/v1"),
    labs: z.array(
      z.object({
        name: z.string(),
        scenario: z.string().describe("Where its scenario was read"),
        phase: z.enum(["making", "up", "rest"]).describe("rest: its maker or holder died; lab down removes it"),
        namespaces: count,
        broken: z.array(z.string()).describe("Ids of faults that stand"),
      }),
    ),
  })
  .meta({ title: "What kubewalk lab ls says" });

const server = z
  .object({
    at: z.string().describe("Place of who answered"),
    clientAddress: z.string().describe("As whom it saw the client"),
  })
  .nullable();
const client = z.enum([
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
]);
const proto = z.enum(["tcp", "udp", "icmp", "sctp"]);

export const labProbeSchema = z
  .object({
    format: z.literal("kubewalk.lab-probe/v1"),
    lab: z.string(),
    cells: z.array(
      z.object({
        from: z.string().describe("Place that asked"),
        target: z.string().describe("Place that was asked, or svc:NAMESPACE/NAME"),
        proto,
        to: z.string(),
        port: z.int().nullable().describe("Null for an echo"),
        seen: z
          .array(
            z.object({
              client: z.string().describe("As in kubewalk.walk/v1; errno:NAME for what has no word there"),
              server,
              count,
            }),
          )
          .describe("What the tries met, those that met the same together"),
        foretold: z
          .object({
            outcomes: z.array(z.object({ client, server })),
            agrees: z.boolean().nullable().describe("Whether that was seen; null where the engine does not know"),
            why: z.string().nullable(),
          })
          .nullable()
          .describe("What the engine foretells; null when it was not asked"),
      }),
    ),
  })
  .meta({ title: "What kubewalk lab probe says" });

const end = z.object({ place: z.string(), device: z.string() });

export const labGraphSchema = z
  .object({
    format: z.literal("kubewalk.lab-graph/v1"),
    lab: z.string(),
    namespaces: z.array(
      z.object({
        place: z.string(),
        netns: z.string().describe("Its name below /run/netns"),
        devices: z.array(
          z.object({
            name: z.string(),
            kind: z.string(),
            up: z.boolean(),
            addresses: z.array(z.string()),
            master: z.string().nullable(),
          }),
        ),
      }),
    ),
    links: z.array(z.object({ kind: z.string().describe("veth, or tunnel"), from: end, to: end })),
  })
  .meta({ title: "What kubewalk lab graph says" });

const met = z.object({
  direction: z.enum(["forward", "reply"]),
  text: z.string().describe("Family, table, chain, place of the rule in its chain from 0, verdict"),
  rule: z.string().describe("As iptables-save or nft prints it; empty for a chain's policy"),
});

export const labWalkSchema = z
  .object({
    format: z.literal("kubewalk.lab-walk/v1"),
    lab: z.string(),
    from: z.string(),
    proto,
    to: z.string(),
    port: z.int().nullable(),
    seen: z.object({ client: z.string(), server }),
    foretold: z.array(z.object({ client, server })),
    agrees: z.boolean(),
    places: z
      .array(
        z.object({
          at: z.string(),
          kernel: z.array(met).describe("Rules that the kernel says the packet met"),
          engine: z.array(met).describe("Rules that the walk of the outcome that was seen met"),
          same: z.boolean(),
        }),
      )
      .describe("Namespaces in which rules were met"),
  })
  .meta({ title: "What kubewalk lab walk says" });

export const labListIsCurrent: Same<LabList, z.infer<typeof labListSchema>> = true;
export const labProbeIsCurrent: Same<ProbeReport, z.infer<typeof labProbeSchema>> = true;
export const labGraphIsCurrent: Same<LabGraph, z.infer<typeof labGraphSchema>> = true;
export const labWalkIsCurrent: Same<LabWalk, z.infer<typeof labWalkSchema>> = true;
