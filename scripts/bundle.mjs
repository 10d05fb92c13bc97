// How the command is bundled: shared by the build and by the tests of the command.
import { build } from "esbuild";
import { cp } from "node:fs/promises";
import { join } from "node:path";

/**
 * Bundles the command into OUTDIR/kubewalk.mjs and what that imports when it is asked for, beside it: everything is in there, so that
 * it runs without node_modules, and what a command does not need is not even read, so that it starts fast (the client for the API is
 * larger than all else).
 */
export async function bundleCommand(outdir) {
  await build({
    entryPoints: { kubewalk: "src/cli/main.ts" },
    absWorkingDir: new URL("..", import.meta.url).pathname,
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    // In the same folder: files that come with the command are found from where the code stands.
    chunkNames: "[name]-[hash]",
    platform: "node",
    target: "node20",
    format: "esm",
    // What runs on nodes goes into the command as it is.
    loader: { ".sh": "text", ".awk": "text" },
    // Not minified: a stack in a report names lines that can be read.
    legalComments: "eof",
    logLevel: "error",
    // Dependencies in CommonJS ask for Node's own modules with require.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  // The lab runs these as they are, or lets people read them.
  const lab = new URL("../src/host/lab/", import.meta.url).pathname;
  for (const folder of ["agent", "scenarios"])
    await cp(join(lab, folder), join(outdir, "lab", folder), {
      recursive: true,
      filter: (path) => !path.includes("__pycache__"),
    });
}
