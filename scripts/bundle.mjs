// How an entry becomes one file: shared by the build and by the tests of the command.
import { build } from "esbuild";

/**
 * Bundles the command into OUTDIR/kubewalk.mjs. Everything is in that one file, so that it runs without node_modules;
 * what is imported dynamically is evaluated only when it is asked for, so that it starts fast.
 */
export async function bundleCommand(outdir) {
  await build({
    entryPoints: { kubewalk: "src/cli/main.ts" },
    absWorkingDir: new URL("..", import.meta.url).pathname,
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: false,
    platform: "node",
    target: "node20",
    format: "esm",
    // Not minified: a stack in a report names lines that can be read.
    legalComments: "eof",
    logLevel: "error",
    // Dependencies in CommonJS ask for Node's own modules with require.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
}
