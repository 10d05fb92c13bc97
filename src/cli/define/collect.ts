/** The command `kubewalk collect`. */
import { type Command, Option } from "commander";
import { UsageError } from "../exit.ts";
import { addKubeFlags, kubeFlags, milliseconds, type KubeOptions } from "./kube-flags.ts";
import type { Host } from "./shared.ts";

const HELP = `
Without --ssh, --local or --exec-pod, a privileged pod is made on each node and removed again; docs/collect.md tells what it may do, and
deploy/ has a role that allows no more than what collecting needs. Nothing is written on a node and nothing is changed there; Secrets are
never read, and other secrets are removed on the node, before they travel.

Examples:
  kubewalk collect -o snap.tar.gz                        of the cluster that kubectl talks to
  kubewalk collect -o snap.tar.gz --node n1 n2           only these nodes
  kubewalk collect --image registry.corp/tools:1         with an image that the site has
  kubewalk collect --exec-pod k8s-app=kube-proxy         by pods that are there already
  kubewalk collect --ssh n1 n2 root@10.0.0.7             through ssh, as ~/.ssh/config says
  kubewalk collect --local                               this machine
  kubewalk collect --lab                                 the lab that stands here (kubewalk lab)
  kubewalk collect --redact -o public.tar.gz             with other names and public addresses: kubewalk redact --help
  kubewalk collect --script | ssh n1 sudo sh -s >n1.tar  by hand; then: kubewalk assemble n1.tar
  kubewalk collect --cleanup                             removes pods that a killed kubewalk left

Exit status: 0 every node was collected, 1 some were not or not wholly, 2 usage, 3 kubewalk itself failed, 130 interrupted.
`;

interface Flags extends KubeOptions {
  outFile?: string;
  node?: string[];
  image?: string;
  execPod?: string;
  ssh?: string[];
  sshCommand: string;
  local?: boolean;
  lab?: string | true;
  redact?: boolean;
  script?: boolean;
  cleanup?: boolean;
  parallel: string;
  nodeTimeout: string;
  output: "text" | "json";
}

/** A whole number from 1 on. Throws UsageError. */
function count(text: string, flag: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < 1 || n > 1000)
    throw new UsageError(`${flag} must be a whole number from 1 to 1000, not "${text}"`);
  return n;
}

/** What was asked to be done, of which only one thing can be. Throws UsageError. */
function wayOf(flags: Flags): "api" | "exec-pod" | "ssh" | "local" | "lab" | "script" | "cleanup" {
  const asked = [
    flags.execPod !== undefined && ("exec-pod" as const),
    flags.ssh !== undefined && ("ssh" as const),
    flags.local === true && ("local" as const),
    flags.lab !== undefined && ("lab" as const),
    flags.script === true && ("script" as const),
    flags.cleanup === true && ("cleanup" as const),
  ].filter((each) => each !== false);
  if (asked.length > 1) throw new UsageError(`--${asked.join(" and --")} exclude each other`);
  const way = asked[0] ?? "api";
  if (flags.image !== undefined && way !== "api")
    throw new UsageError(`--image is for the pods that kubewalk makes, not for --${way}`);
  if (flags.node !== undefined && way !== "api" && way !== "exec-pod")
    throw new UsageError(`--node chooses among the cluster's nodes, which --${way} does not ask`);
  if (flags.redact === true && (way === "script" || way === "cleanup"))
    throw new UsageError(`--redact is for a snapshot, and --${way} takes none`);
  return way;
}

export function collectCommand(program: Command, host: Host, done: (status: number) => void): void {
  const command = program
    .command("collect")
    .summary("take a snapshot of a cluster, of machines or of this one")
    .description("Takes a snapshot: what every node's own commands say of its network, and the cluster's objects.")
    .option("-o, --out-file <file>", "the snapshot, a .tar.gz (default: kubewalk-TIME.tar.gz)")
    .option("--node <name...>", "only these nodes")
    .option(
      "--image <image>",
      "image of the pods that are made; it needs sh and sleep, and awk and nsenter where nodes have none",
    )
    .option(
      "--exec-pod <selector>",
      "use pods that are there, by their labels; they must be privileged and on the host's network",
    )
    .option("--ssh <node...>", "through ssh instead")
    .option("--ssh-command <command>", "ssh, and options of its own", "ssh")
    .option("--local", "this machine")
    .option("--lab [name]", "a lab of this machine; the only one when no name is given")
    .option("--redact", "replace names and public addresses, so that it can be shown to strangers")
    .option("--script", "print the script that runs on nodes, and collect nothing")
    .option("--cleanup", "remove the pods that an interrupted kubewalk left, and collect nothing")
    .option("--parallel <n>", "how many nodes at a time", "10")
    .option("--node-timeout <duration>", "how long one node may take", "60s")
    .addOption(
      new Option("--output <format>", "of the report on what was collected").choices(["text", "json"]).default("text"),
    )
    .addHelpText("after", HELP);
  addKubeFlags(command).action(async (flags: Flags) => {
    const way = wayOf(flags);
    const work = await import("../commands/collect.ts");
    if (way === "script") return done(await work.printScript(host.io));
    const kube = kubeFlags(flags);
    if (way === "cleanup") return done(await work.removeLeftPods(kube, host.io));
    const options = {
      archive: flags.outFile ?? null,
      parallel: count(flags.parallel, "--parallel"),
      timeout: milliseconds(flags.nodeTimeout, "--node-timeout"),
      format: flags.output,
      redact: flags.redact === true,
    };
    const nodes = flags.node ?? null;
    switch (way) {
      case "local":
        return done(await work.collectLocal(kube, options, host));
      case "lab": {
        const { collectLab } = await import("../commands/collect-lab.ts");
        return done(await collectLab(typeof flags.lab === "string" ? flags.lab : undefined, options, host));
      }
      case "ssh": {
        const sshCommand = flags.sshCommand.split(/\s+/).filter((word) => word !== "");
        return done(await work.collectSsh(flags.ssh ?? [], sshCommand, kube, options, host));
      }
      case "exec-pod":
        return done(
          await work.collectApi({ kind: "exec-pod", selector: flags.execPod ?? "" }, nodes, kube, options, host),
        );
      case "api":
        return done(
          await work.collectApi({ kind: "debug-pod", image: flags.image ?? null }, nodes, kube, options, host),
        );
    }
  });
}
