/** The command `kubewalk diff`. */
import type { Command } from "commander";
import { UsageError } from "../exit.ts";
import type { ColorChoice } from "../terminal.ts";
import { colorOption, open, outputOption, type Host } from "./shared.ts";

const HELP = `
With one snapshot: what the nodes have against what they should have. Every piece of state is an owner's (kube-proxy, flannel, calico,
a CNI plugin, the kernel …) or nobody's. What a program picks at random, such as MAC addresses, is held to be right as it is. Counters
are not compared.

With two: what changed from the first to the second, as the model sees it: rules and chains, routes, neighbours, FDB, links, settings,
sets, pods, Services, endpoints; and which walks it changed, with the line that decided before and after. Random names and counters make
no difference, nor does a rule that moved past rules that no packet meets beside it.

Examples:
  kubewalk diff snap.tar.gz                       what differs from what should be, and what nobody owns
  kubewalk diff snap.tar.gz --node n1             on one node
  kubewalk diff monday.tar.gz today.tar.gz        what changed, and for whom
  kubewalk diff monday.tar.gz today.tar.gz --batch questions.jsonl
  kubewalk diff monday.tar.gz today.tar.gz -o json

Exit status: 0 nothing differs, 1 something does, 2 usage, 3 kubewalk itself failed.
`;

interface DiffFlags {
  node?: string[];
  all?: boolean;
  batch?: string;
  walks: boolean;
  output: "text" | "json";
  color: ColorChoice;
}

export function diffCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("diff")
    .summary("show what the nodes have against what they should have, or what changed between two snapshots")
    .description(
      "Computes from the cluster's objects and the nodes' configuration what every network would program, and compares; or compares two snapshots.",
    )
    .argument("<snapshot>", "folder or archive")
    .argument("[later]", "folder or archive: what changed from the first to this one")
    .option("--node <name...>", "only these nodes")
    .option("--all", "in text: also the counts of each owner in each namespace; with two snapshots everything in full")
    .option("--batch <file>", "with two: ask both these questions, as walk --batch reads them (-: standard input)")
    .option("--no-walks", "with two: ask nothing")
    .addOption(outputOption())
    .addOption(colorOption())
    .addHelpText("after", HELP)
    .action(async (snapshot: string, later: string | undefined, flags: DiffFlags) => {
      const options = { format: flags.output, color: flags.color, nodes: flags.node, all: flags.all === true };
      if (later === undefined) {
        if (flags.batch !== undefined || !flags.walks)
          throw new UsageError(`${flags.walks ? "--batch" : "--no-walks"} is for two snapshots: kubewalk diff A B`);
        const session = await open(host, snapshot);
        const { showDiff } = await import("../commands/diff.ts");
        done(await showDiff(session, options, host));
        return;
      }
      if (flags.batch !== undefined && !flags.walks)
        throw new UsageError("--batch and --no-walks contradict each other");
      const sessions = [await open(host, snapshot), await open(host, later)] as const;
      const { showComparison } = await import("../commands/compare.ts");
      done(await showComparison(sessions, { ...options, batch: flags.batch, walks: flags.walks }, host));
    });
}
