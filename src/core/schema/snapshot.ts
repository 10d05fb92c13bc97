/** Schemas of the two files at the head of a snapshot: snapshot.json and fabric.json. */
import { z } from "zod";
import { collectedPartSchema } from "./collect.ts";

export const snapshotSchema = z
  .object({
    format: z.literal("kubewalk.snapshot/v1"),
    takenAt: z.string().optional().describe("When it was taken, RFC 3339"),
    nodes: z.array(z.string()).optional().describe("Names of the cluster's nodes; each has a folder below nodes/"),
    kubernetes: z.string().optional().describe("Version of the API server"),
    network: z.string().optional().describe("What connects the pods, in the recorder's words"),
    proxy: z.string().optional().describe("Mode of kube-proxy, in the recorder's words"),
    collected: collectedPartSchema.optional(),
  })
  .meta({ title: "snapshot.json of a kubewalk snapshot" });

export const fabricSchema = z
  .object({
    format: z.literal("kubewalk.fabric/v1"),
    segments: z
      .array(
        z.object({
          name: z.string(),
          attached: z.array(z.tuple([z.string(), z.string()])).describe("[machine, device] pairs"),
        }),
      )
      .describe("Stretches of layer 2 between machines"),
    routers: z.array(z.string()).optional().describe("Machines that are no nodes and forward, recorded below nodes/"),
    external: z.array(z.string()).optional().describe("Hosts beyond the cluster, recorded below nodes/"),
  })
  .meta({ title: "fabric.json of a kubewalk snapshot" });
