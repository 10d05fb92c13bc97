/** `kubewalk completion`: scripts for shells, and the words that a line can go on with. */
import { RootCommand, script, type Command as Completed } from "@bomb.sh/tab";
import type { Command } from "commander";
import type { KubeFlags } from "../../host/collect/kube/connection.ts";
import { EXIT } from "../exit.ts";
import { lines, type Io } from "../io.ts";

/** Milliseconds that the API server has to name pods and Services; who waits for a word to be completed does not wait longer. */
const PATIENCE = 2000;

/** What `work` logs, which is how the library prints. */
function logged(work: () => void): string[] {
  const found: string[] = [];
  const before = console.log;
  console.log = (text: unknown) => found.push(String(text));
  try {
    work();
  } finally {
    console.log = before;
  }
  return found;
}

/** Prints the script of a shell. */
export async function printScript(shell: string, io: Io): Promise<number> {
  await io.out.write(lines(logged(() => script(shell, "kubewalk", "kubewalk"))));
  return EXIT.answered;
}

/** Words that stand for things in the cluster. */
interface Things {
  from: readonly string[];
  to: readonly string[];
}

function describe(to: Completed, command: Command, things: Things | null): void {
  for (const option of command.options.filter((each) => !each.hidden)) {
    const long = option.long?.replace(/^--/, "") ?? option.short?.replace(/^-/, "") ?? "";
    const choices = option.argChoices ?? [];
    const takes = option.required || option.optional;
    const handler = (complete: (value: string, description: string) => void): void => {
      for (const choice of choices) complete(choice, "");
    };
    const short = option.long === undefined ? undefined : option.short?.replace(/^-/, "");
    if (takes) to.option(long, option.description, handler, short);
    else if (short === undefined) to.option(long, option.description);
    else to.option(long, option.description, short);
  }
  for (const argument of command.registeredArguments) {
    const name = argument.name();
    const words = argument.argChoices ?? (name === "from" || name === "to" ? things?.[name] : undefined);
    to.argument(
      name,
      words === undefined ? undefined : (complete) => words.forEach((word) => complete(word, "")),
      argument.variadic,
    );
  }
}

/** The value of a flag in a line that is not finished. */
function given(words: readonly string[], ...flags: readonly string[]): string | undefined {
  for (const [i, word] of words.entries()) {
    if (flags.includes(word) && i + 1 < words.length - 1) return words[i + 1];
    const flag = flags.find((each) => word.startsWith(`${each}=`));
    if (flag !== undefined) return word.slice(flag.length + 1);
  }
  return undefined;
}

const recordsOf = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value : []);
const nameOf = (object: Record<string, unknown>): string =>
  String((object["metadata"] as Record<string, unknown>)["name"]);

/** Pods, Services and nodes of the cluster that the words are about; null when it cannot be asked in time. */
async function thingsOf(words: readonly string[]): Promise<Things | null> {
  const flags: KubeFlags = { requestTimeout: PATIENCE };
  for (const [name, ...spellings] of [
    ["kubeconfig", "--kubeconfig"],
    ["context", "--context"],
    ["cluster", "--cluster"],
    ["user", "--user"],
    ["namespace", "-n", "--namespace"],
    ["server", "-s", "--server"],
    ["token", "--token"],
    ["as", "--as"],
  ] as const) {
    const value = given(words, ...spellings);
    if (value !== undefined) flags[name] = value;
  }
  try {
    const { connect } = await import("../../host/collect/kube/connection.ts");
    const kube = connect(flags);
    const signal = AbortSignal.timeout(PATIENCE);
    const inside = `/api/v1/namespaces/${encodeURIComponent(kube.namespace)}`;
    const [pods, services, nodes] = await Promise.all(
      [`${inside}/pods?limit=500`, `${inside}/services?limit=500`, "/api/v1/nodes?limit=100"].map((path) =>
        kube.request("GET", path, undefined, signal).then(
          (list) => recordsOf(list["items"]),
          () => [],
        ),
      ),
    );
    const named = nodes!.map((node) => `node/${nameOf(node)}`);
    const to = services!.flatMap((service) => {
      const ports = recordsOf((service["spec"] as Record<string, unknown>)["ports"]);
      return ports.map((port) => `svc/${nameOf(service)}:${String(port["port"])}`);
    });
    return { from: [...pods!.map(nameOf), ...named], to: [...to, ...pods!.map((pod) => `pod/${nameOf(pod)}`)] };
  } catch {
    return null;
  }
}

/** Prints what the last of `words` can become, a line each, and the directive that cobra's scripts read. */
export async function printCompletions(program: Command, words: readonly string[], io: Io): Promise<number> {
  const root = new RootCommand();
  const [first] = words;
  const plugin = first === "packet-walk";
  const last = words.at(-1) ?? "";
  const things = plugin && !last.startsWith("-") ? await thingsOf(words) : null;
  for (const command of program.commands) {
    const hidden = command.name() === "complete" || command.name() === "packet-walk";
    if (hidden && !(plugin && command.name() === first)) continue;
    describe(root.command(command.name(), command.summary()), command, things);
  }
  await io.out.write(lines(logged(() => root.parse([...words]))));
  return EXIT.answered;
}
