/** `kubewalk ipam`: who has which addresses, and who gets the next. */
import type { IpamReport } from "../../core/networks/calico/ipam/report-types.ts";
import { reportIpam } from "../../core/networks/calico/ipam/report.ts";
import { siteOf } from "../../core/networks/site-of.ts";
import { EXIT, UsageError } from "../exit.ts";
import { lines, type Io } from "../io.ts";
import type { Session } from "../session.ts";
import { styleFor, type ColorChoice } from "../terminal.ts";
import { ipamLines } from "../text/ipam.ts";

export interface IpamOptions {
  node: string | null;
  namespace: string;
  /** How many pods to simulate on each node, as it was typed. */
  pods: string;
  format: "text" | "json";
  color: ColorChoice;
}

/** More pods than this are no simulation of a node. */
const MOST_PODS = 4096;

function statusOf(report: IpamReport): number {
  const { leaked, unrecorded, duplicates, exhausted, podCIDRs } = report;
  const wrong = [leaked, unrecorded, duplicates, exhausted, podCIDRs?.problems ?? []].some((list) => list.length > 0);
  if (wrong) return EXIT.failed;
  return report.pools.length === 0 && report.ranges.length === 0 ? EXIT.inconclusive : EXIT.answered;
}

/** Prints the report. Resolves to the exit status. Rejects with UsageError for an unknown node or namespace, or a count that is none. */
export async function showIpam(session: Session, options: IpamOptions, io: Io): Promise<number> {
  const { node, namespace } = options;
  const { snapshot } = session;
  const nodes = snapshot.cluster.nodes.map((each) => each.name);
  if (node !== null && !nodes.includes(node))
    throw new UsageError(`no node "${node}"; there are ${nodes.join(", ") || "none"}`);
  const pods = /^\d+$/.test(options.pods) ? Number(options.pods) : 0;
  if (pods < 1 || pods > MOST_PODS)
    throw new UsageError(`--pods must be a whole number from 1 to ${MOST_PODS}, not "${options.pods}"`);
  const report = reportIpam(siteOf(snapshot), snapshot.takenAt, { node, namespace, pods });
  if (report === null) throw new UsageError(`there is no namespace "${namespace}" in the snapshot`);
  const text =
    options.format === "json" ? [JSON.stringify(report, null, 2)] : ipamLines(report, styleFor(options.color, io));
  await io.out.write(lines(text));
  return statusOf(report);
}
