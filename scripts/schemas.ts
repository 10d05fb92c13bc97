/** Writes schemas/*.json from the schemas in src/core/schema; files that no schema makes any more are removed. */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { schemaDocuments } from "../src/core/schema/documents.ts";

const folder = "schemas";
await mkdir(folder, { recursive: true });
const documents = schemaDocuments();
for (const name of await readdir(folder)) {
  if (!documents.has(name)) await rm(`${folder}/${name}`);
}
for (const [name, text] of documents) {
  const old = await readFile(`${folder}/${name}`, "utf8").catch(() => null);
  if (old !== text) await writeFile(`${folder}/${name}`, text);
}
