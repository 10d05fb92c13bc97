/** The command `kubewalk doctor`. */
import type { Command } from "commander";
import { UsageError } from "../exit.ts";
import type { ColorChoice } from "../terminal.ts";
import { addLiveFlags, liveChoice, liveOption, refuseLiveFlags, type LiveFlags } from "./live.ts";
import { colorOption, open, outputOption, type Host } from "./shared.ts";

const HELP = `
error    walks show who is hurt now
warning  it will hurt under the condition that the finding states
info     unusual, and harmless here (shown with --info)

Examples:
  kubewalk doctor snap.tar.gz
  kubewalk doctor snap.tar.gz --only vtep-fdb-missing,tunnel-down
  kubewalk doctor snap.tar.gz -o json
  kubewalk doctor --live                   the cluster that kubectl talks to, as it is now

Exit status: 0 nothing wrong, 1 errors or warnings, 2 usage, 3 kubewalk itself failed.
`;

interface DoctorFlags extends LiveFlags {
  only?: string;
  info?: boolean;
  list?: boolean;
  live?: boolean;
  output: "text" | "json";
  color: ColorChoice;
}

export function doctorCommand(program: Command, host: Host, done: (status: number) => void): void {
  const command = program
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
    .addOption(liveOption("examine the cluster as it is now, instead of a snapshot"))
    .addHelpText("after", HELP);
  addLiveFlags(command).action(async (snapshot: string | undefined, flags: DoctorFlags) => {
    const { examine, listChecks } = await import("../commands/doctor.ts");
    if (flags.list === true) {
      done(await listChecks(host));
      return;
    }
    const only = flags.only?.split(",").map((id) => id.trim());
    const options = { format: flags.output, color: flags.color, only, info: flags.info === true };
    if (flags.live === true) {
      if (snapshot !== undefined) throw new UsageError("doctor takes a SNAPSHOT or --live, not both");
      const { examineLive } = await import("../commands/live.ts");
      done(await examineLive(liveChoice(flags), host, (session) => examine(session, options, host)));
      return;
    }
    if (snapshot === undefined) throw new UsageError("doctor needs a SNAPSHOT; see kubewalk doctor --help");
    refuseLiveFlags(flags);
    const session = await open(host, snapshot);
    done(await examine(session, options, host));
  });
}
