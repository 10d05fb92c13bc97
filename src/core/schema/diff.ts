/** Schema of kubewalk.diff/v1. The types are src/core/diff/types.ts. */
import { z } from "zod";
import type { Diff } from "../diff/types.ts";
import type { Same } from "./same.ts";
import { sourceSchema } from "./walk.ts";

const kind = z.enum(["rule", "chain", "set", "route", "rule-lookup", "neighbour", "fdb", "link", "address", "sysctl"]);
const count = z.int().min(0);
const piece = z.record(z.string(), z.unknown());

export const diffSchema = z.object({
  format: z.literal("kubewalk.diff/v1"),
  owners: z.array(z.object({ owner: z.string(), at: z.string(), kind, intended: count, equal: count })),
  differences: z.array(
    z.object({
      owner: z.string(),
      at: z.string(),
      kind,
      intended: piece
        .nullable()
        .describe("Null: nothing of the kind should be there; fields left out are not compared"),
      actual: piece.nullable().describe("Null: it is missing"),
      source: sourceSchema.nullable(),
    }),
  ),
  unowned: z
    .array(z.object({ at: z.string(), kind, text: z.string(), source: sourceSchema }))
    .describe("State that no network claims"),
  unknown: z
    .array(z.object({ at: z.string(), what: z.string(), why: z.string() }))
    .describe("What could not be compared"),
});

export const diffIsCurrent: Same<Diff & { format: "kubewalk.diff/v1" }, z.infer<typeof diffSchema>> = true;
