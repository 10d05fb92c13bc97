/**
 * Schemas of what collecting says: the report kubewalk.collected/v1, and the two files that the script writes for each node. The report's type
 * is src/core/model/collect.ts; the files are the script's, src/host/collect/node/.
 */
import { z } from "zod";
import type { CollectedReport } from "../model/collect.ts";
import type { Same } from "./same.ts";

const count = z.int().min(0);
const changed = z
  .array(z.string())
  .describe("Files that changed while they were captured; netns: namespaces came or went");
const reasons = z.record(z.string(), z.string()).describe("Why resources of the cluster are not in it, by resource");
const removals = z
  .record(z.string(), count)
  .describe("How many values were removed from the cluster's objects, by resource");
const podsNotFound = z
  .array(z.string())
  .describe("Running pods, NAMESPACE/NAME, whose network namespace was not found");
const state = z
  .enum(["whole", "partial", "failed"])
  .describe("partial: what came before it went wrong is in the snapshot");

export const collectedSchema = z
  .object({
    format: z.literal("kubewalk.collected/v1"),
    snapshot: z.string().describe("The file that was written"),
    seconds: z.number(),
    interrupted: z.boolean(),
    nodes: z.array(
      z.object({
        node: z.string(),
        state,
        error: z.string().nullable(),
        startedAt: z.string().nullable().describe("By the node's own clock, RFC 3339"),
        seconds: z.number().nullable().describe("Duration of the capture on the node"),
        clock: z
          .object({ ahead: z.number(), error: z.number() })
          .nullable()
          .describe("Seconds by which the node's clock is ahead, and by how much that may be wrong"),
        files: count,
        bytes: count,
        changed,
        removed: count.describe("Secrets that were removed on the node"),
        podsNotFound,
      }),
    ),
    missing: reasons,
    removed: removals,
  })
  .meta({ title: "What kubewalk collect and kubewalk assemble say with --output json" });

export const collectedIsCurrent: Same<CollectedReport, z.infer<typeof collectedSchema>> = true;

/** The part of snapshot.json that tells how it was collected. */
export const collectedPartSchema = z
  .object({
    by: z.string().describe("kubewalk and its version"),
    way: z.string().describe("api, exec-pod, ssh, local, lab, assembled"),
    interrupted: z.boolean().optional(),
    nodes: z.record(
      z.string(),
      z.object({
        state,
        error: z.string().optional(),
        startedAt: z.string().optional(),
        seconds: z.number().optional(),
        clockAhead: z.number().optional().describe("Seconds by which the node's clock is ahead of the collector's"),
        clockError: z.number().optional().describe("Seconds by which that may be wrong"),
        changed: changed.optional(),
        removed: count,
        podsNotFound: podsNotFound.optional(),
      }),
    ),
    missing: reasons.optional(),
    removed: removals.optional(),
  })
  .describe("How it was collected");

export const nodeSchema = z
  .object({
    format: z.literal("kubewalk.node/v1"),
    name: z.string().describe("The node's name in the cluster, else its host's"),
    hostname: z.string(),
    startedAt: z
      .number()
      .describe("When the capture began, seconds since 1970 by the node's clock; 0: it could not say"),
    way: z.string().describe("How the node's own tools were reached"),
  })
  .meta({ title: "node.json, the first file of a node's archive" });

export const collectSchema = z
  .object({
    format: z.literal("kubewalk.collect/v1"),
    startedAt: z.number().describe("Seconds since 1970 by the node's clock"),
    endedAt: z.number(),
    changed,
    removed: z
      .array(
        z.object({ file: z.string(), line: z.int().min(1), what: z.string().describe("What the place is called") }),
      )
      .describe("Secrets that were replaced by REMOVED before anything left the node"),
  })
  .meta({ title: "collect.json, the last file of a node's archive" });
