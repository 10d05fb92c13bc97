/** Whether nodes that speak BGP reach each other's port 179. */
import type { Namespace } from "../model/namespace.ts";
import type { Chart, Walked } from "./chart.ts";
import type { Sender, Target } from "./target.ts";
import { senders, withPort } from "./targets.ts";

const BGP = 179;
/** Clusters of up to this many speakers are asked in pairs; in larger ones each asks the next. */
const MOST_PAIRED = 8;

/** Whether something in the namespace listens for BGP. */
export function listensForBgp(host: Namespace): boolean {
  return host.sockets.some((socket) => socket.proto === "tcp" && socket.port === BGP && socket.state === "LISTEN");
}

function targetOf(chart: Chart, node: string, v: 4 | 6): Target | null {
  const address = chart.dir.nodes
    .get(node)
    ?.addresses.find((each) => each.type === "InternalIP" && each.address.includes(":") === (v === 6))?.address;
  if (address === undefined) return null;
  return { aim: { kind: "node", node }, to: withPort(address, BGP, "tcp"), proto: "tcp", address, port: BGP };
}

const made = new WeakMap<Chart, { walked: Walked; back: Walked }[]>();

/** Sessions that may be: a walk to the other's port and one back, for nodes that both listen. */
export function bgpWalks(chart: Chart): readonly { walked: Walked; back: Walked }[] {
  let walks = made.get(chart);
  if (walks !== undefined) return walks;
  const speakers = chart.hosts.filter(listensForBgp);
  const byPlace = new Map<string, Sender>(senders(chart.dir).map((each) => [each.place, each]));
  const pairs = speakers.flatMap((a, i) =>
    speakers.length <= MOST_PAIRED
      ? speakers.slice(i + 1).map((b) => [a, b] as const)
      : [[a, speakers[(i + 1) % speakers.length]!] as const],
  );
  walks = pairs.flatMap(([a, b]) => {
    const [from, to] = [byPlace.get(a.place), byPlace.get(b.place)];
    const [there, here] = [targetOf(chart, b.node, 4), targetOf(chart, a.node, 4)];
    if (from === undefined || to === undefined || there === null || here === null) return [];
    return [{ walked: chart.walked(from, there), back: chart.walked(to, here) }];
  });
  made.set(chart, walks);
  return walks;
}
