/** The command `kubewalk render`. */
import { type Command, Option } from "commander";
import type { Host } from "./shared.ts";

const HELP = `
FILE is YAML with the cluster's objects, as kubectl get -o yaml prints them or shorter: what the control plane would fill in (addresses
of pods and Services, node ports, EndpointSlices, pod networks of nodes) is filled in. Nodes need an InternalIP, pods a nodeName.

Examples:
  kubewalk render kube-proxy -f shop.yaml                       everything that it programs, on every node
  kubewalk render kube-proxy -f shop.yaml --mode nftables -o nft
  kubewalk render flannel -f shop.yaml --node n1 -o ip          the commands that would make the tunnel
  kubectl get nodes,pods,services,endpointslices -A -o yaml | kubewalk render kube-proxy -f - -o iptables
  kubewalk render --list                                        the networks
`;

export function renderCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("render")
    .summary("print what a network would program for some objects")
    .description(
      "Prints what a network would program on each node for the objects of a file, to learn it or to compare by hand.",
    )
    .argument("[network]", "kube-proxy, flannel, calico … (--list names all)")
    .option("-f, --filename <file...>", "YAML of objects (-: standard input)")
    .option("--node <name...>", "only these nodes")
    .option("--mode <mode>", "kube-proxy: iptables, nftables, ipvs; flannel: vxlan, host-gw; …")
    .option("--list", "name the networks, and render nothing")
    .addOption(
      new Option("-o, --output <format>", "format: every form, or one of them")
        .choices(["all", "ip", "iptables", "nft", "bird", "config", "json"])
        .default("all"),
    )
    .addHelpText("after", HELP)
    .action(
      async (
        network: string | undefined,
        flags: {
          filename?: string[];
          node?: string[];
          mode?: string;
          list?: boolean;
          output: "all" | "ip" | "iptables" | "nft" | "bird" | "config" | "json";
        },
      ) => {
        const { render } = await import("../commands/render.ts");
        const options = {
          files: flags.filename ?? [],
          nodes: flags.node,
          mode: flags.mode ?? null,
          list: flags.list === true,
          format: flags.output,
        };
        done(await render(network, options, host.io));
      },
    );
}
