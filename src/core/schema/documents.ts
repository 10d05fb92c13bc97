/** The JSON Schemas that ship in the package, as text by file name. */
import { z } from "zod";
import { collectedSchema, collectSchema, nodeSchema } from "./collect.ts";
import { compareSchema } from "./compare.ts";
import { diffSchema } from "./diff.ts";
import { findingsSchema } from "./doctor.ts";
import { ipamSchema } from "./ipam.ts";
import { labGraphSchema, labListSchema, labProbeSchema, labWalkSchema } from "./lab.ts";
import { renderSchema } from "./render.ts";
import { showSchema } from "./show.ts";
import { fabricSchema, snapshotSchema } from "./snapshot.ts";
import { answerSchema, questionSchema } from "./walk.ts";

const SCHEMAS: readonly [name: string, schema: z.ZodType][] = [
  ["kubewalk.walk.v1", answerSchema],
  ["kubewalk.walk-question.v1", questionSchema],
  ["kubewalk.show.v1", showSchema],
  ["kubewalk.diff.v1", diffSchema],
  ["kubewalk.compare.v1", compareSchema],
  ["kubewalk.findings.v1", findingsSchema],
  ["kubewalk.ipam.v1", ipamSchema],
  ["kubewalk.render.v1", renderSchema],
  ["kubewalk.lab-list.v1", labListSchema],
  ["kubewalk.lab-probe.v1", labProbeSchema],
  ["kubewalk.lab-graph.v1", labGraphSchema],
  ["kubewalk.lab-walk.v1", labWalkSchema],
  ["kubewalk.snapshot.v1", snapshotSchema],
  ["kubewalk.collected.v1", collectedSchema],
  ["kubewalk.node.v1", nodeSchema],
  ["kubewalk.collect.v1", collectSchema],
  ["kubewalk.fabric.v1", fabricSchema],
];

/**
 * Every schema document by file name (`kubewalk.walk.v1.json`), JSON Schema 2020-12. Formats may only grow, so readers must
 * allow properties that they do not know: none of the documents forbids additional ones.
 */
export function schemaDocuments(): Map<string, string> {
  const out = new Map<string, string>();
  for (const [name, schema] of SCHEMAS) {
    // `input` leaves objects open; `output` would close them.
    const document = z.toJSONSchema(schema, { target: "draft-2020-12", io: "input", reused: "inline" });
    const { $schema, ...rest } = document;
    out.set(`${name}.json`, `${JSON.stringify({ $schema, $id: `${name}.json`, ...rest }, null, 2)}\n`);
  }
  return out;
}
