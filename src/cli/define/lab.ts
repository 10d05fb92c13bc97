/** The command `kubewalk lab`. */
import { type Command, Option } from "commander";
import type { Asked } from "../../core/names/to.ts";
import { UsageError } from "../exit.ts";
import type { ColorChoice } from "../terminal.ts";
import { colorOption, outputOption, type Host } from "./shared.ts";

const HELP = `
SCENARIO is the name of a shipped one (kubewalk lab scenarios) or a YAML file (docs/lab.md tells its fields).
PLACE is n1, shop/web-1, outside and the like; kubewalk lab graph names all.
Where one lab stands, it is meant; where several do, --name says which.

Examples:
  sudo kubewalk lab up flannel-vxlan
  sudo kubewalk lab probe                             who reaches whom, and whether the engine foretells it
  sudo kubewalk lab exec shop/client-1 -- curl -s web.shop
  sudo kubewalk lab break vtep-fdb-missing node=n2
  sudo kubewalk lab walk shop/client-1 svc:shop/web:80
  sudo kubewalk lab snapshot snap && kubewalk doctor snap
  sudo kubewalk lab down
  sudo kubewalk lab up calico-ipip --vm               in a virtual machine, whose kernel has IPIP

Exit status: 0 done, all as foretold; 1 something is not; 2 usage, or this machine lacks something; 3 kubewalk itself failed;
4 the engine does not know. exec: that of the program.
`;

function nameOption(): Option {
  return new Option("--name <name>", "which lab");
}

const positive =
  (name: string, most: number) =>
  (text: string): number => {
    const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(n >= 1 && n <= most)) throw new UsageError(`${name} must be a whole number from 1 to ${most}, not "${text}"`);
    return n;
  };

interface Named {
  name?: string;
}

interface UpFlags extends Named {
  vm?: boolean;
  vmMemory?: number;
  vmCpus?: number;
  accel?: "tcg" | "kvm";
}

type Done = (status: number) => void;

function managing(lab: Command, host: Host, done: Done): void {
  lab
    .command("up")
    .summary("make a lab")
    .description("Makes the network of a scenario in namespaces of this machine.")
    .argument("<scenario>", "name of a shipped scenario, or a file")
    .option("--name <name>", "name of the lab (default: the scenario's)")
    .option("--vm", "in a virtual machine with Debian's kernel, which has every kind of link")
    .option("--vm-memory <MiB>", "memory of the machine (default: 1024)", positive("--vm-memory", 1 << 20))
    .option("--vm-cpus <n>", "processors of the machine (default: 2, or what there are)", positive("--vm-cpus", 64))
    .addOption(
      new Option("--accel <how>", "how the machine is run: emulated, or by the processor (default: tcg)").choices([
        "tcg",
        "kvm",
      ]),
    )
    .action(async (scenario: string, flags: UpFlags) => {
      const { vm, vmMemory: memory, vmCpus: cpus, accel } = flags;
      if (vm !== true && [memory, cpus, accel].some((each) => each !== undefined))
        throw new UsageError("--vm-memory, --vm-cpus and --accel are about the machine of --vm");
      const { labUp } = await import("../commands/lab/manage.ts");
      done(await labUp(scenario, flags.name, vm === true ? { memory, cpus, accel } : null, host));
    });
  lab
    .command("down")
    .summary("remove a lab, and what is left of any")
    .description("Removes a lab with everything in it, and what is left of labs whose maker died.")
    .argument("[name]", "which lab; the only one when not said")
    .option("--all", "every lab")
    .action(async (name: string | undefined, flags: { all?: boolean }) => {
      if (name !== undefined && flags.all === true) throw new UsageError("a name or --all, not both");
      const { labDown } = await import("../commands/lab/down.ts");
      done(await labDown(name, flags.all === true, host));
    });
  lab
    .command("ls")
    .summary("list the labs that stand")
    .description("Lists the labs that stand, and what is left of others.")
    .addOption(outputOption())
    .action(async (flags: { output: "text" | "json" }) => {
      const { labLs } = await import("../commands/lab/down.ts");
      done(await labLs(flags.output, host));
    });
  lab
    .command("scenarios")
    .summary("list the shipped scenarios")
    .description("Lists the scenarios that come with kubewalk.")
    .action(async () => {
      const { labScenarios } = await import("../commands/lab/manage.ts");
      done(await labScenarios(host));
    });
  lab
    .command("exec")
    .summary("run a program in a namespace of a lab")
    .description("Runs a program in a namespace of a lab, with this terminal.")
    .argument("<place>", "n1, shop/web-1, outside …")
    .argument("<command...>", "after --, the program and its words")
    .addOption(nameOption())
    .action(async (place: string, command: string[], flags: Named) => {
      const { labExec } = await import("../commands/lab/manage.ts");
      done(await labExec(flags.name, place, command));
    });
  lab
    .command("snapshot")
    .summary("write a snapshot of a lab, as of a real cluster")
    .description("Writes a snapshot of a lab into a folder, for walk, show, diff and doctor.")
    .argument("<out>", "folder that is not there yet, or is empty")
    .addOption(nameOption())
    .action(async (out: string, flags: Named) => {
      const { labSnapshot } = await import("../commands/lab/manage.ts");
      done(await labSnapshot(flags.name, out, host));
    });
}

function breaking(lab: Command, host: Host, done: Done): void {
  lab
    .command("break")
    .summary("make a fault")
    .description("Makes a fault in a lab, as faults come about on real nodes.")
    .argument("[fault]", "its id")
    .argument("[options...]", "key=value, such as node=n2")
    .option("--list", "name the faults and the scenarios in which they can be had")
    .addOption(nameOption())
    .action(async (fault: string | undefined, options: string[], flags: Named & { list?: boolean }) => {
      const { labBreak, labFaults } = await import("../commands/lab/manage.ts");
      if (flags.list === true) {
        done(await labFaults(host));
        return;
      }
      if (fault === undefined) throw new UsageError("break needs a FAULT; kubewalk lab break --list names all");
      done(await labBreak(flags.name, fault, options, host));
    });
  lab
    .command("mend")
    .summary("take a fault back")
    .description("Takes back a fault that lab break made.")
    .argument("<fault>", "its id")
    .addOption(nameOption())
    .action(async (fault: string, flags: Named) => {
      const { labMend } = await import("../commands/lab/manage.ts");
      done(await labMend(flags.name, fault, host));
    });
}

interface ProbeFlags extends Named {
  from?: string[];
  to?: string[];
  proto?: "tcp" | "udp" | "icmp";
  tries: number;
  engine: boolean;
  wide?: boolean;
  output: "text" | "json";
  color: ColorChoice;
}

function asking(lab: Command, host: Host, done: Done): void {
  lab
    .command("probe")
    .summary("who reaches whom, as a matrix, and whether the engine foretells it")
    .description("Asks everyone from everywhere with real programs, and says where the engine foretells otherwise.")
    .option("--from <place...>", "only from these")
    .option("--to <target...>", "only to these: places, svc:NAMESPACE/NAME, addresses, ADDRESS:PORT")
    .addOption(new Option("-p, --proto <protocol>", "only by this protocol").choices(["tcp", "udp", "icmp"]))
    .option("--tries <n>", "how often each is asked", positive("--tries", 100), 3)
    .option("--no-engine", "do not ask the engine")
    .option("--wide", "in text: a line for each, with who answered and which client it saw")
    .addOption(nameOption())
    .addOption(outputOption())
    .addOption(colorOption())
    .action(async (flags: ProbeFlags) => {
      const { labProbe } = await import("../commands/lab/ask.ts");
      const options = {
        name: flags.name,
        from: flags.from,
        to: flags.to,
        proto: flags.proto,
        tries: flags.tries,
        foretell: flags.engine,
        wide: flags.wide === true,
        format: flags.output,
        color: flags.color,
      };
      done(await labProbe(options, host));
    });
  lab
    .command("graph")
    .summary("namespaces, devices, addresses, and what joins them")
    .description("Shows a lab's namespaces, their devices and addresses, and what joins them.")
    .addOption(
      new Option("-o, --output <format>", "format").choices(["text", "dot", "mermaid", "json"]).default("text"),
    )
    .addOption(nameOption())
    .action(async (flags: Named & { output: "text" | "dot" | "mermaid" | "json" }) => {
      const { labGraph } = await import("../commands/lab/ask.ts");
      done(await labGraph(flags.name, flags.output, host));
    });
}

interface WalkFlags extends Named {
  proto?: "tcp" | "udp" | "icmp";
  port?: string;
  "4"?: boolean;
  "6"?: boolean;
  output: "text" | "json";
  color: ColorChoice;
}

function walking(lab: Command, host: Host, done: Done): void {
  lab
    .command("walk")
    .summary("one probe, rule by rule: the engine's account beside the kernel's")
    .description(
      "Sends one probe, and lays the rules that the kernel says it met beside those that the engine foretells.",
    )
    .argument("<from>", "shop/client-1, n1, outside …")
    .argument("<to>", "svc:shop/web:80, shop/web-1:8080, an address …, as kubewalk walk takes it")
    .addOption(new Option("-p, --proto <protocol>", "protocol").choices(["tcp", "udp", "icmp"]))
    .option("--port <port>", "destination port, by number or name")
    .addOption(new Option("-4", "of several addresses take IPv4").conflicts("6"))
    .addOption(new Option("-6", "of several addresses take IPv6").conflicts("4"))
    .addOption(nameOption())
    .addOption(outputOption())
    .addOption(colorOption())
    .action(async (from: string, to: string, flags: WalkFlags) => {
      const { labWalk } = await import("../commands/lab/walk.ts");
      const asked: Asked = {};
      if (flags.proto !== undefined) asked.proto = flags.proto;
      if (flags.port !== undefined) asked.port = flags.port;
      if (flags["4"] === true || flags["6"] === true) asked.family = flags["4"] === true ? 4 : 6;
      const { name, output, color } = flags;
      done(await labWalk(from, to, { name, asked, format: output, color }, host));
    });
}

export function labCommand(program: Command, host: Host, done: Done): void {
  const lab = program
    .command("lab")
    .summary("build a network for real, in namespaces of this machine")
    .description(
      "Builds networks in namespaces of one Linux machine, with the state that kubewalk computes, and asks the kernel what the engine foretells.",
    )
    .addHelpText("after", HELP);
  managing(lab, host, done);
  breaking(lab, host, done);
  asking(lab, host, done);
  walking(lab, host, done);
}
