/** The command `kubewalk ipam`. */
import { Option, type Command } from "commander";
import type { ColorChoice } from "../terminal.ts";
import { colorOption, open, outputOption, type Host } from "./shared.ts";

const HELP = `
Knows Calico's IPAM (pools, blocks, affinities) and the CNI plugin host-local (with flannel and others), and simulates both.

Examples:
  kubewalk ipam snap.tar.gz                    pools, blocks, who gets the next address, what is wrong
  kubewalk ipam snap.tar.gz --node n1          of one node
  kubewalk ipam snap.tar.gz --node n1 --pods 5 its next five pods
  kubewalk ipam snap.tar.gz --namespace shop   for a pod of this namespace
  kubewalk ipam snap.tar.gz -o json

Exit status: 0 nothing wrong, 1 addresses are leaked, held twice or used up, 2 usage, 3 kubewalk itself failed,
4 nothing was recorded of who gives out addresses.
`;

export function ipamCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("ipam")
    .summary("show who has which addresses, and who gets the next")
    .description(
      "Shows pools, blocks and ranges, how full they are, which address the next pod of each node gets and by which rule.",
    )
    .argument("<snapshot>", "folder or archive")
    .option("--node <name>", "only this node")
    .option("--namespace <name>", "namespace of the pod that gets the next address", "default")
    .addOption(new Option("--pods <n>", "how many pods to simulate, one after the other, on each node").default("1"))
    .addOption(outputOption())
    .addOption(colorOption())
    .addHelpText("after", HELP)
    .action(
      async (
        snapshot: string,
        flags: { node?: string; namespace: string; pods: string; output: "text" | "json"; color: ColorChoice },
      ) => {
        const session = await open(host, snapshot);
        const { showIpam } = await import("../commands/ipam.ts");
        const { node = null, namespace, pods, output: format, color } = flags;
        done(await showIpam(session, { node, namespace, pods, format, color }, host.io));
      },
    );
}
