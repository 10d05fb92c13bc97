/** What a BIRD was told, as far as it bears on another one beside it: the kernel tables that it writes, and its BGP neighbours. */
import type { Source } from "../model/source.ts";
import type { Machine } from "../networks/site.ts";

/** A statement: words up to `;`, or up to a block. */
interface Statement {
  words: string[];
  body: Statement[] | null;
  source: Source;
}

export interface BirdKernel {
  family: 4 | 6;
  /** Kernel table, 254 unless said. */
  table: number;
  /** Of the routes that it holds to be its own; 0 for those of any metric, as BIRD 1 has it. */
  metric: number;
  source: Source;
}

export interface BirdNeighbour {
  /** As it stands. */
  address: string;
  source: Source;
}

export interface BirdConf {
  /** Kernel tables to which it exports. */
  kernels: BirdKernel[];
  neighbours: BirdNeighbour[];
}

const MAIN = 254;
/** Of BIRD 2 (user's guide, protocol kernel: metric). */
const DEFAULT_METRIC = 32;
/** Files that may include each other, at most. */
const MOST_FILES = 50;

/** Statements of a text (BIRD's conf/cf-lex.l: `#` and C comments, quoted texts); brackets of expressions stay within words. */
function statements(text: string, file: string): Statement[] {
  const top: Statement[] = [];
  const open: Statement[][] = [top];
  let words: string[] = [];
  let begun = 1;
  let line = 1;
  const flush = (body: Statement[] | null): void => {
    if (words.length > 0) open.at(-1)!.push({ words, body, source: { file, line: begun } });
    words = [];
  };
  for (const [token] of text.matchAll(/#[^\n]*|\/\*[\s\S]*?\*\/|"[^"\n]*"|[{};]|\n|[^\s{};#"]+/g)) {
    if (token === "\n") line++;
    else if (token === ";") flush(null);
    else if (token === "{") {
      const body: Statement[] = [];
      if (words.length === 0) begun = line;
      flush(body);
      open.push(body);
    } else if (token === "}") {
      flush(null);
      if (open.length > 1) open.pop();
    } else if (token.startsWith("#") || token.startsWith("/*")) line += token.split("\n").length - 1;
    else {
      if (words.length === 0) begun = line;
      words.push(token.startsWith('"') ? token.slice(1, -1) : token);
    }
  }
  flush(null);
  return top;
}

/** A configuration with what it includes, by the machine's files. */
function load(machine: Machine, path: string, left: { files: number }): Statement[] {
  const file = machine.file(path);
  if (file === null || left.files-- <= 0) return [];
  return statements(file.text, file.source.file).flatMap((each) => {
    const [word, name] = each.words;
    if (word !== "include" || name === undefined) return [each];
    const whole = name.startsWith("/") ? name : `${path.slice(0, path.lastIndexOf("/") + 1)}${name}`;
    if (!whole.includes("*")) return load(machine, whole, left);
    const parts = whole.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp(`^${parts.join("[^/]*")}$`);
    const folder = whole.slice(0, whole.lastIndexOf("/", whole.indexOf("*")) + 1);
    return machine.files(folder).flatMap((found) => (pattern.test(found) ? load(machine, found, left) : []));
  });
}

/** Options of a protocol with those of its template before them. */
function optionsOf(protocol: Statement, templates: ReadonlyMap<string, Statement>): Statement[] {
  const at = protocol.words.indexOf("from");
  const template = at < 0 ? undefined : templates.get(protocol.words[at + 1] ?? "");
  return [
    ...(template === undefined
      ? []
      : optionsOf(template, new Map([...templates].filter(([, each]) => each !== template)))),
    ...(protocol.body ?? []),
  ];
}

/** Whether `export` lets anything through; BIRD's default is none. */
function exports(options: readonly Statement[]): boolean {
  const last = options.findLast((each) => each.words[0] === "export");
  return last !== undefined && last.words[1] !== "none";
}

/**
 * Reads the configuration at `path` of a machine; null when it was not recorded. `family` is that of a BIRD 1, which has one program
 * for each and no channels (bird.network.cz, user's guide, protocol kernel).
 */
export function birdConf(machine: Machine, path: string, family: 4 | 6): BirdConf | null {
  if (machine.file(path) === null) return null;
  const all = load(machine, path, { files: MOST_FILES });
  const templates = new Map(
    all.flatMap((each) => (each.words[0] === "template" ? [[each.words[2] ?? "", each] as const] : [])),
  );
  const kernels: BirdKernel[] = [];
  const neighbours: BirdNeighbour[] = [];
  for (const each of all) {
    if (each.words[0] !== "protocol" || each.body === null) continue;
    const options = optionsOf(each, templates);
    if (options.some(({ words }) => words[0] === "disabled" && words[1] !== "no" && words[1] !== "off")) continue;
    if (each.words[1] === "kernel") {
      const told = options.findLast(({ words }) => words[0] === "kernel" && words[1] === "table")?.words[2];
      const table = told === undefined ? MAIN : told === "main" ? MAIN : Number(told);
      const asked = options.findLast(({ words }) => words[0] === "metric")?.words[1];
      const metric = asked === undefined ? DEFAULT_METRIC : Number(asked);
      const channels = options.filter(({ words }) => words[0] === "ipv4" || words[0] === "ipv6");
      if (channels.length === 0 && exports(options)) kernels.push({ family, table, metric: 0, source: each.source });
      for (const channel of channels)
        if (exports(channel.body ?? []))
          kernels.push({ family: channel.words[0] === "ipv4" ? 4 : 6, table, metric, source: each.source });
    }
    if (each.words[1] === "bgp")
      for (const { words, source } of options)
        if (words[0] === "neighbor" && words[1] !== undefined) neighbours.push({ address: words[1], source });
  }
  return { kernels, neighbours };
}
