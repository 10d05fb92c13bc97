/** The command that takes a netfilter rule away again, by the line of the save file or listing that shows it. */
import type { Source } from "../model/source.ts";
import type { Step } from "../model/walk.ts";
import type { Chart } from "./chart.ts";

/** Whether a file is a save of iptables or ip6tables, and by which command it was made. */
function toolOf(file: string): string | null {
  return /\/(ip6?tables(?:-legacy)?)-save\.txt$/.exec(file)?.[1] ?? null;
}

/**
 * The command for the rule or policy of `step`: `iptables -D …`, `iptables -P … ACCEPT`, `nft delete rule … handle N`. Empty when the step
 * does not tell enough.
 */
export function removal(chart: Chart, step: Step, source: Source): string[] {
  const { table = "", chain = "", family = "" } = step;
  const line = chart.snapshot.line(source);
  const tool = toolOf(source.file);
  if (tool !== null) {
    const prefix = `${tool}${table === "filter" ? "" : ` -t ${table}`}`;
    if (step.kind === "policy") return [`${prefix} -P ${chain} ACCEPT`];
    const words = /(?:^|\] )-A (.*)$/.exec(line)?.[1];
    return words === undefined ? [] : [`${prefix} -D ${words}`];
  }
  if (step.kind === "policy") return [`nft 'chain ${family} ${table} ${chain} { policy accept; }'`];
  const handle = /# handle (\d+)\s*$/.exec(line)?.[1];
  return handle === undefined ? [] : [`nft delete rule ${family} ${table} ${chain} handle ${handle}`];
}

/** Whether a save of iptables-legacy stands beside rules of iptables-nft in the same namespace: what such rules do is a fault of its own. */
export function isHiddenLegacy(chart: Chart, place: string, source: Source): boolean {
  const sets = chart.dir.places.get(place)?.xtables ?? [];
  const own = sets.find((set) => set.file === source.file);
  if (own?.backend !== "legacy") return false;
  return sets.some(
    (set) =>
      set.backend === "nft" &&
      set.family === own.family &&
      set.tables.some((table) => table.chains.some((chain) => chain.rules.length > 0)),
  );
}
