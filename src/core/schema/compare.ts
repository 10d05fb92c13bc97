/** Schema of kubewalk.compare/v1. The types are src/core/compare/types.ts. */
import { z } from "zod";
import type { Comparison } from "../compare/types.ts";
import type { Same } from "./same.ts";
import { answerSchema, outcomeSchema, sourceSchema } from "./walk.ts";

const kind = z.enum([
  "rule",
  "chain",
  "set",
  "route",
  "rule-lookup",
  "neighbour",
  "fdb",
  "link",
  "address",
  "sysctl",
  "socket",
  "ipvs",
  "program",
  "conntrack",
  "node",
  "namespace",
  "pod",
  "service",
  "endpoint",
  "object",
  "segment",
  "file",
]);
const side = z.object({ text: z.string(), source: sourceSchema.nullable() });
const outcome = outcomeSchema.omit({ steps: true });
const answer = z.object({
  to: z.string().describe("The address that was asked: a Service's may differ from one snapshot to the other"),
  port: z.int().optional(),
  verdict: answerSchema.shape.verdict,
  outcomes: z.array(outcome),
});

export const compareSchema = z.object({
  format: z.literal("kubewalk.compare/v1"),
  changes: z.array(
    z.object({
      at: z.string().describe("A place, or `cluster`"),
      kind,
      change: z.enum(["added", "removed", "moved", "changed"]),
      what: z.string(),
      before: side.nullable(),
      after: side.nullable(),
      fields: z
        .array(z.object({ name: z.string(), before: z.string(), after: z.string() }))
        .describe("Of what changed, the fields that tell"),
      pod: z.string().nullable().describe("The pod whose coming or going explains it"),
    }),
  ),
  walks: z.object({
    asked: z.int().min(0),
    left: z.int().min(0).describe("Questions that were not asked, because there are too many"),
    changed: z.array(
      z.object({
        from: z.string(),
        proto: answerSchema.shape.proto,
        to: z.string(),
        port: z.int().optional(),
        change: z
          .enum(["verdict", "servers"])
          .describe("`servers`: clients meet the same, from others or under another address"),
        before: answer,
        after: answer,
      }),
    ),
  }),
  unknown: z
    .array(z.object({ at: z.string(), what: z.string(), why: z.string() }))
    .describe("What could not be compared"),
});

export const compareIsCurrent: Same<
  Comparison & { format: "kubewalk.compare/v1" },
  z.infer<typeof compareSchema>
> = true;
