import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { answers } from "../../../test/support/answers.ts";
import { schemaDocuments } from "./documents.ts";
import { fabricSchema, snapshotSchema } from "./snapshot.ts";
import { answerSchema, questionSchema } from "./walk.ts";

test("schemas/ is what the schemas in the source say; `npm run build` writes it", () => {
  const documents = schemaDocuments();
  expect(readdirSync("schemas").toSorted()).toEqual([...documents.keys()].toSorted());
  for (const [name, text] of documents) expect(readFileSync(`schemas/${name}`, "utf8"), name).toBe(text);
});

test("the documents are JSON Schema 2020-12, have their own name, and stay open for more properties", () => {
  for (const [name, text] of schemaDocuments()) {
    expect(JSON.parse(text)).toMatchObject({ $schema: "https://json-schema.org/draft/2020-12/schema", $id: name });
    expect(text).not.toContain('"additionalProperties": false');
  }
});

test.each(Object.keys(answers))("canned answer %s fits, with nothing that the schema does not know", (name) => {
  const answer = JSON.parse(JSON.stringify(answers[name])) as unknown;
  expect(answerSchema.parse(answer)).toEqual(answer);
});

describe("what does not fit", () => {
  const good = JSON.parse(JSON.stringify(answers["answered"])) as Record<string, unknown>;
  test.each([
    ["another format", { ...good, format: "kubewalk.walk/v2" }],
    ["another verdict", { ...good, verdict: "maybe" }],
    [
      "a share in floating point",
      {
        ...good,
        outcomes: [
          { share: { num: 0.5, den: 1 }, client: "answered", disposition: "delivered", because: { text: "" } },
        ],
      },
    ],
  ])("%s", (_, value) => expect(answerSchema.safeParse(value).success).toBe(false));
  test.each([
    ["no from", { proto: "tcp", to: "10.0.0.1" }],
    ["port 0", { from: "n1/host", proto: "tcp", to: "10.0.0.1", port: 0 }],
  ])("question: %s", (_, value) => expect(questionSchema.safeParse(value).success).toBe(false));
});

const recordings = "../shared/fixtures";
describe.skipIf(!existsSync(recordings))(`recordings in ${recordings} (skipped when absent)`, () => {
  const folders = existsSync(recordings)
    ? readdirSync(recordings, { withFileTypes: true }).filter((e) => e.isDirectory())
    : [];
  test.each(folders.map((f) => f.name))("%s", (name) => {
    const read = (file: string): unknown => JSON.parse(readFileSync(`${recordings}/${name}/snapshot/${file}`, "utf8"));
    snapshotSchema.parse(read("snapshot.json"));
    fabricSchema.parse(read("fabric.json"));
  });
});
