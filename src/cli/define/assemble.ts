/** The command `kubewalk assemble`. */
import { type Command, Option } from "commander";
import type { Host } from "./shared.ts";

const HELP = `
PIECES are archives that the script printed on nodes (kubewalk collect --script), folders of such archives, a folder of the cluster's objects
as kubectl prints them, and fabric.json:

  kubewalk collect --script >collect.sh
  for n in n1 n2; do ssh $n sudo sh -s <collect.sh >nodes/$n.tar; done
  for r in nodes pods services endpointslices networkpolicies namespaces; do kubectl get $r -A -o json >cluster/$r.json; done
  kubewalk assemble nodes/*.tar cluster/ -o snap.tar.gz

Exit status: 0 every piece is whole, 1 some archives are not, 2 usage, 3 kubewalk itself failed, 130 interrupted.
`;

export function assembleCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("assemble")
    .summary("build a snapshot from archives of nodes and lists of objects")
    .description("Builds a snapshot from what was collected by hand.")
    .argument("<pieces...>", "archives of nodes, folders of such, a folder of the cluster's objects, fabric.json")
    .option("-o, --out-file <file>", "the snapshot, a .tar.gz (default: kubewalk-TIME.tar.gz)")
    .option("--redact", "replace names and public addresses, as kubewalk redact does")
    .addOption(
      new Option("--output <format>", "of the report on what was assembled").choices(["text", "json"]).default("text"),
    )
    .addHelpText("after", HELP)
    .action(async (pieces: string[], flags: { outFile?: string; redact?: boolean; output: "text" | "json" }) => {
      const { assemblePieces } = await import("../commands/assemble.ts");
      done(
        await assemblePieces(
          pieces,
          { archive: flags.outFile ?? null, format: flags.output, redact: flags.redact === true },
          host,
        ),
      );
    });
}
