/** Entry of the command: the process's own streams and signals. */
import { EXIT } from "./exit.ts";
import { streamOutput } from "./io.ts";
import { run } from "./run.ts";

process.on("SIGINT", () => process.exit(EXIT.interrupted));

const out = streamOutput(process.stdout);
const err = streamOutput(process.stderr);
process.exitCode = await run(process.argv.slice(2), {
  io: { stdin: process.stdin, out, err, env: process.env },
  openSession: async (path, onProgress) => (await import("./engine.ts")).openSession(path, onProgress),
  now: () => performance.now(),
});
