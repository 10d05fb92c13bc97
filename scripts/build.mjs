// Builds the package: the command as one file, and the JSON Schemas that ship with it.
import { spawnSync } from "node:child_process";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundleCommand } from "./bundle.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
await rm("dist", { recursive: true, force: true });
await bundleCommand("dist");
const schemas = spawnSync(process.execPath, ["scripts/run-ts.mjs", "scripts/schemas.ts"], { stdio: "inherit" });
if (schemas.status !== 0) process.exit(schemas.status ?? 1);
