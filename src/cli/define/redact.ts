/** The command `kubewalk redact`. */
import type { Command } from "commander";
import type { Host } from "./shared.ts";

const HELP = `
Replaced, the same by the same everywhere: names of namespaces, pods, Services, nodes and all other objects, values of labels, host names
and domains; public addresses of IPv4 and IPv6, so that those that shared a prefix still do. Private addresses stay, and so do names
that every cluster has. Names that programs made of names (KUBE-SVC-…, cali…) become what they would have made of the replacements.
Left out: environment, commands and images of containers outside the system's namespaces, annotations that no network reads.
Not looked at: what else someone wrote as a comment, a path or a value of a configuration file. Look before you show it.

Examples:
  kubewalk redact snap.tar.gz -o public.tar.gz
  kubewalk redact snap.tar.gz -o public.tar.gz --map ours.json      ours.json tells what became of what: keep it
  kubewalk redact later.tar.gz -o public2.tar.gz --map ours.json    the same names as before

Exit status: 0 written, 2 usage, 3 kubewalk itself failed.
`;

export function redactCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("redact")
    .summary("replace names and public addresses, so that a snapshot can be shown to strangers")
    .description("Replaces names and public addresses of a snapshot consistently: it still walks the same.")
    .argument("<snapshot>", "folder or archive")
    .requiredOption("-o, --output <file>", "archive to write, .tar.gz or .tgz")
    .option("--map <file>", "what became of what; when it is there, it is followed and added to")
    .addHelpText("after", HELP)
    .action(async (snapshot: string, flags: { output: string; map?: string }) => {
      const { redactSnapshot } = await import("../commands/redact.ts");
      done(await redactSnapshot(snapshot, { output: flags.output, map: flags.map }, host.io));
    });
}
