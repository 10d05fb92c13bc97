/** Flags of commands that ask a cluster instead of a snapshot, and the command `packet-walk`, by which kubectl's plugin is called. */
import { type Command, Option } from "commander";
import type { KubeFlags } from "../../host/collect/kube/connection.ts";
import { UsageError } from "../exit.ts";
import type { ColorChoice } from "../terminal.ts";
import { addKubeFlags, kubeFlags, milliseconds, type KubeOptions } from "./kube-flags.ts";
import { colorOption, type Host } from "./shared.ts";

/** What commander makes of the flags. */
export interface LiveFlags extends KubeOptions {
  image?: string;
  execPod?: string;
  parallel?: string;
  nodeTimeout?: string;
}

/** How a cluster is asked. */
export interface LiveChoice {
  kube: KubeFlags;
  /** Null: the default one. */
  image: string | null;
  execPod: string | null;
  parallel: number;
  /** Milliseconds for one node. */
  timeout: number;
}

const GROUP = "Of a live cluster:";

/** Adds the flags by which nodes are collected, and kubectl's own. */
export function addLiveFlags(command: Command): Command {
  for (const option of [
    new Option("--image <image>", "image of the pods that are made to collect"),
    new Option("--exec-pod <selector>", "collect by pods that are there, by their labels"),
    new Option("--parallel <n>", "how many nodes at a time (default: 10)"),
    new Option("--node-timeout <duration>", "how long one node may take (default: 60s)"),
  ])
    command.addOption(option.helpGroup(GROUP));
  return addKubeFlags(command);
}

/** The option `--live` of a command. */
export const liveOption = (what: string): Option => new Option("--live", what).helpGroup(GROUP);

/** Names of the flags that mean something only with --live. */
const LIVE_ONLY = [
  "image",
  "execPod",
  "parallel",
  "nodeTimeout",
  "kubeconfig",
  "context",
  "cluster",
  "user",
  "namespace",
  "server",
  "token",
  "as",
  "asGroup",
  "asUid",
  "requestTimeout",
  "tlsServerName",
  "insecureSkipTlsVerify",
  "certificateAuthority",
  "clientCertificate",
  "clientKey",
] as const;

/** Throws UsageError when a flag of a live cluster is given without --live. */
export function refuseLiveFlags(flags: LiveFlags): void {
  const given = LIVE_ONLY.find((name) => flags[name] !== undefined);
  if (given === undefined) return;
  const flag = given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(`--${flag} is for a live cluster: give --live, and no snapshot`);
}

/** Takes the flags apart. Throws UsageError. */
export function liveChoice(flags: LiveFlags): LiveChoice {
  const { image, execPod, parallel = "10", nodeTimeout = "60s", ...rest } = flags;
  if (image !== undefined && execPod !== undefined) throw new UsageError("--image and --exec-pod exclude each other");
  if (!/^[1-9]\d{0,2}$/.test(parallel))
    throw new UsageError(`--parallel must be a whole number from 1 to 999, not "${parallel}"`);
  const known = Object.fromEntries(
    Object.entries(rest).filter(([name]) => (LIVE_ONLY as readonly string[]).includes(name)),
  );
  return {
    kube: kubeFlags(known),
    image: image ?? null,
    execPod: execPod ?? null,
    parallel: Number(parallel),
    timeout: milliseconds(nodeTimeout, "--node-timeout"),
  };
}

const PLUGIN_HELP = `
FROM  a pod (client-1, shop/client-1, pod/client-1), a node (node/n1), n1/host, an address
TO    svc/web:80, svc/web:http, pod/web-1:8080, node/n1:30080, web.shop:80 (as FROM resolves it), 10.96.0.10:53/udp, an address

Names without a namespace are in that of -n or of the context. Only the nodes on the way are collected, found step by step; for each a
privileged pod is made, and removed again.

Examples:
  kubectl packet-walk -n shop client-1 svc/web:80
  kubectl packet-walk client-1 svc/web:80 --steps --context staging
  kubectl packet-walk node/n1 10.96.0.10:53/udp -o json

Exit status: 0 answered, 1 failed or mixed, 2 usage, 3 kubewalk itself failed, 4 inconclusive, 130 interrupted.
`;

interface PluginFlags extends LiveFlags {
  proto?: "tcp" | "udp" | "icmp" | "sctp";
  port?: string;
  "4"?: boolean;
  "6"?: boolean;
  output: "text" | "json" | "jsonl";
  steps?: boolean;
  allRules?: boolean;
  color: ColorChoice;
}

/** The command of kubectl's plugin. Hidden: `kubewalk walk --live` is the same. */
export function pluginCommand(program: Command, host: Host, done: (status: number) => void): void {
  const command = program
    .command("packet-walk", { hidden: true })
    .summary("show where a packet goes in the cluster, and which line decided")
    .description("Walks a packet through the cluster as its nodes are now, and says which line of which node decided.")
    .argument("<from>", "where the packet starts")
    .argument("<to>", "where it is sent")
    .addOption(new Option("-p, --proto <protocol>", "protocol").choices(["tcp", "udp", "icmp", "sctp"]))
    .option("--port <port>", "destination port, by number or name")
    .addOption(new Option("-4", "of several addresses take IPv4").conflicts("6"))
    .addOption(new Option("-6", "of several addresses take IPv6").conflicts("4"))
    .addOption(new Option("-o, --output <format>", "format").choices(["text", "json", "jsonl"]).default("text"))
    .option("--steps", "every step of every path; in JSON: add steps")
    .option("--all-rules", "rules that do not match, too (implies --steps)")
    .addOption(colorOption())
    .addHelpText("after", PLUGIN_HELP);
  addLiveFlags(command).action(async (from: string, to: string, flags: PluginFlags) => {
    const { proto, port, "4": four, "6": six, output, steps, allRules = false, color, ...live } = flags;
    const { walkLive } = await import("../commands/live.ts");
    const asked = {
      ...(proto === undefined ? {} : { proto }),
      ...(port === undefined ? {} : { port }),
      ...(four === true ? { family: 4 as const } : six === true ? { family: 6 as const } : {}),
    };
    const options = { format: output, steps: steps === true || allRules, allRules, color };
    done(await walkLive(from, to, asked, {}, options, liveChoice(live), host));
  });
}
