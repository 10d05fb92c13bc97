/** The command `kubewalk doctor`. */
import type { Command } from "commander";
import { UsageError } from "../exit.ts";
import type { ColorChoice } from "../terminal.ts";
import { colorOption, open, outputOption, type Host } from "./shared.ts";

const HELP = `
error    walks show who is hurt now
warning  it will hurt under the condition that the finding states
info     unusual, and harmless here (shown with --info)

Examples:
  kubewalk doctor snap.tar.gz
  kubewalk doctor snap.tar.gz --only vtep-fdb-missing,tunnel-down
  kubewalk doctor snap.tar.gz -o json

Exit status: 0 nothing wrong, 1 errors or warnings, 2 usage, 3 kubewalk itself failed.
`;

export function doctorCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("doctor")
    .summary("say what is wrong, who is hurt, and what mends it")
    .description(
      "Looks for every fault that kubewalk knows, walks packets between everyone to see who is hurt, and says what mends it.",
    )
    .argument("[snapshot]", "folder or archive")
    .option("--only <ids>", "only these checks, by the ids of their findings, comma-separated")
    .option("--info", "in text: also what is unusual and harmless, and everyone who is hurt")
    .option("--list", "print the ids of all checks, and look at nothing")
    .addOption(outputOption())
    .addOption(colorOption())
    .addHelpText("after", HELP)
    .action(
      async (
        snapshot: string | undefined,
        flags: { only?: string; info?: boolean; list?: boolean; output: "text" | "json"; color: ColorChoice },
      ) => {
        const { examine, listChecks } = await import("../commands/doctor.ts");
        if (flags.list === true) {
          done(await listChecks(host));
          return;
        }
        if (snapshot === undefined) throw new UsageError("doctor needs a SNAPSHOT; see kubewalk doctor --help");
        const session = await open(host, snapshot);
        const only = flags.only?.split(",").map((id) => id.trim());
        const options = { format: flags.output, color: flags.color, only, info: flags.info === true };
        done(await examine(session, options, host));
      },
    );
}
