/** The command `kubewalk diff`. */
import type { Command } from "commander";
import type { ColorChoice } from "../terminal.ts";
import { colorOption, open, outputOption, type Host } from "./shared.ts";

const HELP = `
Every piece of state is an owner's (kube-proxy, flannel, calico, a CNI plugin, the kernel …) or nobody's. What a program picks at
random, such as MAC addresses, is held to be right as it is. Counters are not compared.

Examples:
  kubewalk diff snap.tar.gz                what differs, and what nobody owns
  kubewalk diff snap.tar.gz --node n1      on one node
  kubewalk diff snap.tar.gz -o json

Exit status: 0 nothing differs, 1 something does, 2 usage, 3 kubewalk itself failed.
`;

export function diffCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("diff")
    .summary("show what the nodes have against what they should have")
    .description(
      "Computes from the cluster's objects and the nodes' configuration what every network would program, and compares.",
    )
    .argument("<snapshot>", "folder or archive")
    .option("--node <name...>", "only these nodes")
    .option("--all", "in text: also the counts of each owner in each namespace")
    .addOption(outputOption())
    .addOption(colorOption())
    .addHelpText("after", HELP)
    .action(
      async (
        snapshot: string,
        flags: { node?: string[]; all?: boolean; output: "text" | "json"; color: ColorChoice },
      ) => {
        const session = await open(host, snapshot);
        const { showDiff } = await import("../commands/diff.ts");
        const options = { format: flags.output, color: flags.color, nodes: flags.node, all: flags.all === true };
        done(await showDiff(session, options, host));
      },
    );
}
