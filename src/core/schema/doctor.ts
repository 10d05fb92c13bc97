/** Schema of kubewalk.findings/v1. The types are src/core/doctor/types.ts. */
import { z } from "zod";
import type { Findings } from "../doctor/types.ts";
import type { Same } from "./same.ts";
import { shareSchema } from "./walk.ts";

const affected = z.object({
  from: z.string().describe("Place of the sender"),
  to: z.string().describe("What it cannot reach, as `kubewalk walk` takes it"),
  share: shareSchema.nullable().describe("Part of the connections that fails; null where it cannot be known"),
  proto: z.string(),
  address: z.string(),
  port: z.int().min(1).max(65_535).optional(),
  sourcePort: z.int().min(1).max(65_535).optional().describe("The one source port that is hurt"),
  size: z.int().optional().describe("Bytes of the packets that fail, where smaller ones pass"),
});

const finding = z.object({
  id: z.string(),
  severity: z.enum(["error", "warning", "info"]),
  at: z.string(),
  summary: z.string(),
  hurt: z.string().nullable(),
  evidence: z.array(z.object({ file: z.string(), line: z.int(), text: z.string() })),
  affects: z.array(affected),
  remedy: z.array(z.string()),
  symptoms: z.array(z.object({ id: z.string(), at: z.string(), summary: z.string() })),
});

export const findingsSchema = z.object({
  format: z.literal("kubewalk.findings/v1"),
  findings: z.array(finding),
  unknown: z
    .array(z.object({ id: z.string(), at: z.string(), why: z.string() }))
    .describe("What could not be decided from the snapshot"),
});

export const findingsAreCurrent: Same<
  Findings & { format: "kubewalk.findings/v1" },
  z.infer<typeof findingsSchema>
> = true;
