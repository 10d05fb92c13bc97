/** The command `kubewalk render`. */
import { type Command, Option } from "commander";
import type { RenderFormat } from "../../core/networks/render/print.ts";
import type { Host } from "./shared.ts";

const HELP = `
FILE is YAML with the cluster's objects, as kubectl get -o yaml prints them or shorter: what the control plane would fill in (addresses
of pods and Services, node ports, EndpointSlices, pod networks of nodes) is filled in. Nodes need an InternalIP, pods a nodeName.
What no Kubernetes object describes has kinds of its own (apiVersion: kubewalk/v1, docs/render.md tells their fields):
  Machine     devices, routes, files and command lines of a node; without one a node has eth0 with its InternalIP
  DockerHost  a machine with Docker (docker-bridge)        VirtualIP   a floating address before the API servers (vip)
  HostRouter  a host that speaks BGP to its switches (bird)

Forms: ip (ip, bridge and sysctl commands), iptables (for ipset restore, iptables-restore, ip6tables-restore), nft (for nft -f),
bird (BIRD's configuration), config (every daemon's files), json (kubewalk.render/v1); all of them when none is asked for.

Examples:
  kubewalk render kube-proxy -f shop.yaml                       everything that it programs, on every node
  kubewalk render kube-proxy -f shop.yaml --mode nftables -o nft
  kubewalk render flannel -f shop.yaml --node n1 -o ip          the commands that would make the tunnel
  kubewalk render calico -f shop.yaml -f policies.yaml --mode bgp -o bird
  kubectl get nodes,pods,services,endpointslices -A -o yaml | kubewalk render kube-proxy -f - -o iptables
  kubewalk render --list                                        the networks and their modes

Exit status: 0 rendered, 2 usage or objects that make no sense, 3 kubewalk itself failed.
`;

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export function renderCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("render")
    .summary("print what a network would program for some objects")
    .description(
      "Prints what a network would program on each node for the objects of a file, to learn it or to compare by hand.",
    )
    .argument("[network]", "kube-proxy, flannel, calico … (--list names all)")
    .option("-f, --filename <file>", "YAML of objects (-: standard input); may be given several times", collect)
    .option("--node <name>", "only this node; may be given several times", collect)
    .option("--mode <mode>", "which of the network's modes; without it what the objects say, else the first")
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
        flags: { filename?: string[]; node?: string[]; mode?: string; list?: boolean; output: RenderFormat },
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
