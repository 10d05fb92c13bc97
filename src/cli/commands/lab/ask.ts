/** `kubewalk lab probe` and `graph`. */
import type { ProbeReport } from "../../../core/model/lab.ts";
import { findPlace } from "../../../host/lab/find-place.ts";
import { graphOf } from "../../../host/lab/graph.ts";
import { serversOf } from "../../../host/lab/places.ts";
import type { OpenedLab } from "../../../host/lab/open.ts";
import { probeLab, readAddresses, representatives, targetsOf, type ProbeTarget } from "../../../host/lab/probe.ts";
import type { Host } from "../../define/shared.ts";
import { EXIT, UsageError } from "../../exit.ts";
import { lines } from "../../io.ts";
import { styleFor, type ColorChoice } from "../../terminal.ts";
import { graphDot, graphLines, graphMermaid } from "../../text/lab/graph.ts";
import { probeLines } from "../../text/lab/probe.ts";
import { withLab, withSnapshot } from "./common.ts";

export interface ProbeOptions {
  name: string | undefined;
  from: readonly string[] | undefined;
  to: readonly string[] | undefined;
  proto: "tcp" | "udp" | "icmp" | undefined;
  tries: number;
  /** Whether the engine is asked, too. */
  foretell: boolean;
  wide: boolean;
  format: "text" | "json";
  color: ColorChoice;
}

/** Sources and targets when nobody says which: so many, those that are alike by one of them. */
const MOST = 40;

function targets(opened: OpenedLab, options: ProbeOptions, addressesOf: (place: string) => string[]): ProbeTarget[] {
  const { lab, plan } = opened;
  const { computed, wiring } = plan;
  const all = targetsOf(lab, serversOf(wiring, computed.objects, lab.places), addressesOf);
  const pings = [...new Set(all.filter((each) => !each.name.startsWith("svc:")).map((each) => each.name))].flatMap(
    (name) => addressesOf(name).map((to): ProbeTarget => ({ name, proto: "icmp", to, port: null })),
  );
  // Who serves by TCP need not be asked by ping, too, unless that was wished.
  const proto = options.proto;
  const wanted = proto === undefined ? all : [...all, ...pings].filter((each) => each.proto === proto);
  if (options.to === undefined) {
    const places = wanted.filter((each) => !each.name.startsWith("svc:"));
    const few = new Set(representatives([...new Set(places.map((each) => each.name))], MOST));
    return wanted.filter((each) => each.name.startsWith("svc:") || few.has(each.name));
  }
  return options.to.flatMap((words) => {
    const found = wanted.filter(
      (each) => each.name === words || each.to === words || `${each.to}:${each.port}` === words,
    );
    if (found.length > 0) return found;
    if (words.startsWith("svc:")) throw new UsageError(`lab ${lab.name} has no ${words}, or nothing of it to ask`);
    const place = findPlace(lab, words);
    const there = wanted.filter((each) => each.name === place);
    if (there.length === 0) throw new UsageError(`${words} serves nothing${proto === undefined ? "" : ` by ${proto}`}`);
    return there;
  });
}

/** Asks and prints. Resolves to the exit status: 0 all as foretold (or, without the engine, all answered), 1 not, 4 the engine does not know. */
export async function labProbe(options: ProbeOptions, host: Host): Promise<number> {
  return withLab(options.name, async (opened) => {
    const { lab } = opened;
    const addressesOf = await readAddresses(lab);
    const sources =
      options.from?.map((words) => findPlace(lab, words)) ??
      representatives(
        lab.places.flatMap(({ place, machine }) => (machine === "fabric" ? [] : [place])),
        MOST,
      );
    const asking = { from: sources, targets: targets(opened, options, addressesOf), tries: options.tries };
    const report: ProbeReport = options.foretell
      ? await withSnapshot(opened, host, (session) =>
          probeLab(lab, asking, (question) => session.ask(question, { steps: false, allRules: false })),
        )
      : await probeLab(lab, asking, null);
    const text =
      options.format === "json"
        ? [JSON.stringify(report, null, 2)]
        : probeLines(report, options.wide, styleFor(options.color, host.io));
    await host.io.out.write(lines(text));
    return statusOf(report);
  });
}

function statusOf({ cells }: ProbeReport): number {
  if (cells.some((cell) => cell.foretold?.agrees === false)) return EXIT.failed;
  if (cells.some((cell) => cell.foretold !== null && cell.foretold.agrees === null)) return EXIT.inconclusive;
  const unasked = cells.every((cell) => cell.foretold === null);
  const failed = cells.some((cell) => cell.seen.some((each) => each.client !== "answered"));
  return unasked && failed ? EXIT.failed : EXIT.answered;
}

export type GraphFormat = "text" | "dot" | "mermaid" | "json";

export async function labGraph(name: string | undefined, format: GraphFormat, { io }: Host): Promise<number> {
  return withLab(name, async ({ lab }) => {
    const graph = await graphOf(lab);
    const text = {
      text: () => graphLines(graph),
      dot: () => graphDot(graph),
      mermaid: () => graphMermaid(graph),
      json: () => [JSON.stringify(graph, null, 2)],
    }[format]();
    await io.out.write(lines(text));
    return EXIT.answered;
  });
}
