/** The command line: what can be asked, with which options, and the exit status of it all. */
import { Command, CommanderError, Option } from "commander";
import { version } from "../../package.json";
import type { Proto } from "../core/model/walk.ts";
import type { Asked } from "../core/names/to.ts";
import { assembleCommand } from "./define/assemble.ts";
import { collectCommand } from "./define/collect.ts";
import { completionCommand } from "./define/completion.ts";
import { diffCommand } from "./define/diff.ts";
import { doctorCommand } from "./define/doctor.ts";
import { ipamCommand } from "./define/ipam.ts";
import { labCommand } from "./define/lab.ts";
import { addLiveFlags, liveChoice, liveOption, pluginCommand, refuseLiveFlags, type LiveFlags } from "./define/live.ts";
import { redactCommand } from "./define/redact.ts";
import { renderCommand } from "./define/render.ts";
import { colorOption, open, type Host } from "./define/shared.ts";
import { EXIT, OutputClosed, UsageError } from "./exit.ts";
import type { Extras } from "./resolve.ts";
import type { ColorChoice } from "./terminal.ts";

interface WalkFlags extends LiveFlags {
  live?: boolean;
  proto?: Proto;
  port?: string;
  sourcePort?: number;
  mark?: number;
  ttl?: number;
  size?: number;
  tcpFlags?: string;
  "4"?: boolean;
  "6"?: boolean;
  batch?: string;
  output?: "text" | "json" | "jsonl";
  steps?: boolean;
  allRules?: boolean;
  color: ColorChoice;
}

/** A parser of whole numbers within bounds; `0x…` is hexadecimal. */
function whole(name: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const n = /^(?:\d+|0[xX][\da-fA-F]+)$/.test(text) ? Number(text) : Number.NaN;
    if (!(n >= least && n <= most)) {
      throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not "${text}"`);
    }
    return n;
  };
}

const EXAMPLES = `
Examples:
  kubewalk walk snap.tar.gz shop/client svc:shop/web:80      a pod to a Service
  kubewalk walk snap.tar.gz n1/host 10.96.0.10:53/udp        a node to an address
  kubewalk walk snap.tar.gz shop/client-1 web.shop -o json   a DNS name, as the pod resolves it
  kubewalk walk snap.tar.gz --batch questions.jsonl -o jsonl many questions, an answer a line
  kubewalk show snap.tar.gz                                  what is in the snapshot
  kubewalk show snap.tar.gz n1/host                          everything of one namespace
  kubewalk doctor snap.tar.gz                                what is wrong, who is hurt, what mends it
  kubewalk diff snap.tar.gz                                  what the nodes have against what they should have
  kubewalk diff monday.tar.gz today.tar.gz                   what changed, and for whom
  kubewalk redact snap.tar.gz -o public.tar.gz               a snapshot to show to strangers
  kubewalk ipam snap.tar.gz                                  who has which addresses, and who gets the next

Exit status: 0 answered, 1 failed or mixed, 2 usage, 3 kubewalk itself failed, 4 inconclusive, 130 interrupted.
`;

const WALK_HELP = `
FROM  n1/host, node:n1, n1/pod/shop/client-1, pod:shop/client-1, shop/client-1, shop/client (its only pod), an address
TO    svc:shop/web:80, svc:shop/web:http, pod:shop/web-1:8080, node:n1, 10.96.0.1:443, [fd00::1]:80, 10.96.0.10:53/udp,
      web.shop.svc.cluster.local:80 (a DNS name, as FROM resolves it), http://web/, an address alone (an ICMP echo)

Examples:
  kubewalk walk snap.tar.gz shop/client svc:shop/web:80
  kubewalk walk snap.tar.gz shop/client svc:shop/web:80 --steps
  kubewalk walk snap.tar.gz outside/host 172.30.0.11:30080 --all-rules
  kubewalk walk snap.tar.gz --batch questions.jsonl -o jsonl
  kubewalk walk --live shop/client svc:shop/web:80
`;

function walkCommand(program: Command, host: Host, done: (status: number) => void): void {
  const command = program
    .command("walk")
    .summary("show where a packet goes, and which line decided")
    .description(
      "Walks a packet through a snapshot: every way that it can go, with exact shares, the reply, and the line that decided.",
    )
    .usage("[options] <snapshot> <from> <to> | <snapshot> --batch <file> | --live <from> <to>")
    .argument("<snapshot>", "folder or archive; none with --live")
    .argument("[from]", "where the packet starts")
    .argument("[to]", "where it is sent")
    .addOption(new Option("-p, --proto <protocol>", "protocol").choices(["tcp", "udp", "icmp", "sctp"]))
    .option("--port <port>", "destination port, by number or name")
    .option("--source-port <port>", "source port (default: a free one)", whole("--source-port", 1, 65_535))
    .option("--mark <mark>", "firewall mark of the sending socket", whole("--mark", 0, 0xffff_ffff))
    .option("--ttl <hops>", "TTL or hop limit", whole("--ttl", 1, 255))
    .option("--size <bytes>", "size of the packet from its IP header on", whole("--size", 1, 65_535))
    .option("--tcp-flags <flags>", "TCP flags that are set, comma-separated (default: syn)")
    .addOption(new Option("-4", "of several addresses take IPv4").conflicts("6"))
    .addOption(new Option("-6", "of several addresses take IPv6").conflicts("4"))
    .option("--batch <file>", "questions from a file of JSON lines or a JSON array (-: standard input)")
    .addOption(
      new Option("-o, --output <format>", "format (default: text, with --batch jsonl)").choices([
        "text",
        "json",
        "jsonl",
      ]),
    )
    .option("--steps", "every step of every path; in JSON: add steps")
    .option("--all-rules", "rules that do not match, too (implies --steps)")
    .addOption(colorOption())
    .addOption(liveOption("ask the cluster as it is now: only the nodes on the way are collected, step by step"))
    .addHelpText("after", WALK_HELP);
  addLiveFlags(command).action(
    async (snapshot: string, from: string | undefined, to: string | undefined, flags: WalkFlags) => {
      const batch = flags.batch;
      const live = flags.live === true;
      if (!live) refuseLiveFlags(flags);
      if (live && (batch !== undefined || from === undefined || to !== undefined))
        throw new UsageError("walk --live takes FROM and TO; see kubewalk walk --help");
      if (!live && batch === undefined && (from === undefined || to === undefined)) {
        throw new UsageError("walk needs FROM and TO, or --batch FILE; see kubewalk walk --help");
      }
      if (batch !== undefined && from !== undefined)
        throw new UsageError("walk takes FROM and TO or --batch, not both");
      const format = flags.output ?? (batch === undefined ? "text" : "jsonl");
      const allRules = flags.allRules ?? false;
      const options = { format, steps: (flags.steps ?? false) || allRules, allRules, color: flags.color };
      const asked: Asked = {};
      if (flags.proto !== undefined) asked.proto = flags.proto;
      if (flags.port !== undefined) asked.port = flags.port;
      if (flags["4"] === true || flags["6"] === true) asked.family = flags["4"] === true ? 4 : 6;
      const { sourcePort, mark, ttl, size, tcpFlags } = flags;
      const extras: Extras = { sourcePort, mark, ttl, size, tcpFlags };
      if (batch !== undefined && [...Object.values(asked), ...Object.values(extras)].some((v) => v !== undefined)) {
        throw new UsageError("with --batch, each question says its own protocol, port, mark and the like");
      }
      if (live) {
        const { walkLive } = await import("./commands/live.ts");
        done(await walkLive(snapshot, from ?? "", asked, extras, options, liveChoice(flags), host));
        return;
      }
      const session = await open(host, snapshot);
      if (batch === undefined) {
        const { walkOne } = await import("./commands/walk.ts");
        done(await walkOne(session, from ?? "", to ?? "", asked, extras, options, host.io));
      } else {
        const { walkBatch } = await import("./commands/batch.ts");
        done(await walkBatch(session, batch, options, host.io));
      }
    },
  );
}

function showCommand(program: Command, host: Host, done: (status: number) => void): void {
  program
    .command("show")
    .summary("show what is in a snapshot, and what is missing")
    .description("Shows what is in a snapshot, what is missing and why; with PLACE everything of that namespace.")
    .argument("<snapshot>", "folder or archive")
    .argument("[place]", "n1/host, shop/web-1 and the like")
    .addOption(new Option("-o, --output <format>", "format").choices(["text", "json"]).default("text"))
    .addOption(colorOption())
    .action(
      async (snapshot: string, place: string | undefined, flags: { output: "text" | "json"; color: ColorChoice }) => {
        const session = await open(host, snapshot);
        const { show } = await import("./commands/show.ts");
        done(await show(session, place, { format: flags.output, color: flags.color }, host.io));
      },
    );
}

/**
 * Runs the command with the arguments that follow its name. Resolves to the exit status; never rejects but for a defect.
 * Results go to `io.out`, everything else to `io.err`.
 */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  const { io } = host;
  let status: number = EXIT.answered;
  const said: { to: "out" | "err"; text: string }[] = [];
  // kubectl's plugin says what its user typed: `kubectl packet-walk`.
  const plugin = argv[0] === "packet-walk";
  const program = new Command(plugin ? "kubectl" : "kubewalk");
  const flush = async (): Promise<void> => {
    for (const { to, text } of said.splice(0)) await io[to].write(text);
  };
  program
    .description("Shows where a packet goes in a Kubernetes network, why it dies, and which line decided it.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .configureOutput({
      writeOut: (text) => said.push({ to: "out", text }),
      writeErr: (text) => said.push({ to: "err", text }),
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError(false)
    .exitOverride()
    .addHelpText("after", EXAMPLES);
  const done = (s: number): void => {
    status = s;
  };
  walkCommand(program, host, done);
  collectCommand(program, host, done);
  assembleCommand(program, host, done);
  showCommand(program, host, done);
  doctorCommand(program, host, done);
  diffCommand(program, host, done);
  renderCommand(program, host, done);
  ipamCommand(program, host, done);
  labCommand(program, host, done);
  redactCommand(program, host, done);
  pluginCommand(program, host, done);
  completionCommand(program, host, done);
  for (const command of program.commands) command.copyInheritedSettings(program);

  try {
    await program.parseAsync(argv, { from: "user" });
    await flush();
    return status;
  } catch (error) {
    if (error instanceof OutputClosed) return EXIT.answered;
    if (error instanceof CommanderError) {
      // Who reads no further than the first lines of a help has read enough.
      await flush().catch((closed: unknown) => {
        if (!(closed instanceof OutputClosed)) throw closed;
      });
      return error.code === "commander.helpDisplayed" || error.code === "commander.version"
        ? EXIT.answered
        : EXIT.usage;
    }
    const usage = error instanceof UsageError;
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    // The status tells even those who closed standard error.
    await io.err.write(`error: ${usage ? error.message : `kubewalk failed: ${detail}`}\n`).catch(() => undefined);
    return usage ? EXIT.usage : EXIT.broken;
  }
}
