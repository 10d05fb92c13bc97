/**
 * A network whose routers all talk to each other (Weave Net: TCP and UDP 6783, UDP 6784) has lost some of these sessions: a router that does
 * not run, or a pair of nodes that cannot reach each other's port. Its logs speak of frames of another peer, and programs meet "no buffer
 * space available" (ENOBUFS) where the neighbour table is full.
 */
import type { Namespace } from "../../model/namespace.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { events, logLines } from "../recorded-logs.ts";
import type { Sender, Target } from "../target.ts";
import { senders, withPort } from "../targets.ts";
import type { Evidence } from "../types.ts";

/** Weave's control port (router/mesh, Port). */
const CONTROL = 6783;
const DEVICES = /^(weave|vxlan-6784|vethwe-)/;
/** Meshes of up to this many nodes are asked in pairs; in larger ones each asks the next. */
const MOST_PAIRED = 8;

const SIGNS = /associated with another peer|no buffer space available/i;

const listens = (host: Namespace): boolean =>
  host.sockets.some((socket) => socket.proto === "tcp" && socket.port === CONTROL && socket.state === "LISTEN");

/** Whether the node is, or was, part of such a network. */
const isMember = (host: Namespace): boolean => listens(host) || host.links.some((link) => DEVICES.test(link.name));

function signs(chart: Chart, host: Namespace): Evidence[] {
  return logLines(chart.snapshot, host.node, SIGNS);
}

function stopped(chart: Chart, host: Namespace, others: number): Suspicion {
  return {
    id: "mesh-broken",
    at: host.place,
    summary: `The mesh's router does not run on ${host.node}: nothing listens on TCP ${CONTROL}, to which ${others} other ${others === 1 ? "node connects" : "nodes connect"}`,
    evidence: [
      chart.evidence({ file: `${host.dir}/sockets.txt`, line: 1 }, `nothing listens on tcp port ${CONTROL}`),
      ...signs(chart, host),
    ],
    remedy: [`kubectl get pods -A -l name=weave-net --field-selector spec.nodeName=${host.node}`],
    hurts: [],
    otherwise: "warning",
  };
}

function targetOf(chart: Chart, node: string): Target | null {
  const address = chart.dir.nodes
    .get(node)
    ?.addresses.find((each) => each.type === "InternalIP" && !each.address.includes(":"))?.address;
  if (address === undefined) return null;
  return { aim: { kind: "node", node }, to: withPort(address, CONTROL, "tcp"), proto: "tcp", address, port: CONTROL };
}

/** Sessions that neither side can open. */
function parted(chart: Chart, members: readonly Namespace[]): Suspicion[] {
  const byPlace = new Map<string, Sender>(senders(chart.dir).map((each) => [each.place, each]));
  const pairs = members.flatMap((a, i) =>
    members.length <= MOST_PAIRED
      ? members.slice(i + 1).map((b) => [a, b] as const)
      : [[a, members[(i + 1) % members.length]!] as const],
  );
  const broken = pairs.flatMap(([a, b]): { a: Namespace; b: Namespace; walks: Walked[] }[] => {
    const [from, to] = [byPlace.get(a.place), byPlace.get(b.place)];
    const [there, here] = [targetOf(chart, b.node), targetOf(chart, a.node)];
    if (from === undefined || to === undefined || there === null || here === null) return [];
    const walks = [chart.walked(from, there), chart.walked(to, here)];
    return walks.every((walked) => walked.failed.length > 0) ? [{ a, b, walks }] : [];
  });
  // The node that most of the broken sessions have in common is where to look.
  const count = new Map<Namespace, number>();
  for (const { a, b } of broken) for (const each of [a, b]) count.set(each, (count.get(each) ?? 0) + 1);
  const byNode = new Map<Namespace, typeof broken>();
  for (const each of broken) {
    const at = (count.get(each.a) ?? 0) >= (count.get(each.b) ?? 0) ? each.a : each.b;
    byNode.set(at, [...(byNode.get(at) ?? []), each]);
  }
  return [...byNode].map(([host, sessions]): Suspicion => {
    const peers = sessions.map(({ a, b }) => (a === host ? b : a).node);
    const because = sessions.flatMap(({ walks }) =>
      walks.flatMap((walked) => walked.failed.map((each) => each.because)),
    );
    return {
      id: "mesh-broken",
      at: host.place,
      summary: `The mesh is broken between ${host.node} and ${peers.slice(0, 3).join(", ")}${peers.length > 3 ? ` and ${peers.length - 3} more` : ""}: neither side reaches the other's TCP ${CONTROL} (${because[0]?.text ?? ""})`,
      evidence: [
        ...because.flatMap(({ source }) => (source === undefined ? [] : [chart.evidence(source)])).slice(0, 3),
        ...signs(chart, host),
      ],
      remedy: [`# let TCP and UDP ${CONTROL} and UDP ${CONTROL + 1} pass between the nodes`],
      hurts: sessions.flatMap(({ walks }) => walks.map((walked) => ({ walked }))),
      otherwise: null,
    };
  });
}

function look(chart: Chart): Diagnosis {
  const members = chart.hosts.filter((host) => isMember(host) && !host.missing.has("sockets"));
  const running = members.filter(listens);
  const suspicions: Suspicion[] = [
    ...(running.length === 0
      ? []
      : members.filter((host) => !listens(host)).map((host) => stopped(chart, host, running.length))),
    ...parted(chart, running),
  ];
  const found = new Set(suspicions.map((each) => each.at));
  // Words of a log alone: something was wrong, and may not be now.
  for (const host of members) {
    const said = signs(chart, host);
    if (found.has(host.place) || said.length === 0) continue;
    suspicions.push({
      id: "mesh-broken",
      at: host.place,
      summary: `Logs of ${host.node} speak of a broken mesh: pods that moved are sent to where they were as long as its ${members.length} routers do not agree`,
      evidence: [
        ...said,
        ...events(chart.snapshot, SIGNS)
          .slice(0, 2)
          .map((each) => each.evidence),
      ],
      remedy: ["weave status connections   # which sessions are not established, and why"],
      hurts: [],
      otherwise: "warning",
    });
  }
  return { suspicions };
}

export const meshBroken: Check = { ids: ["mesh-broken"], depth: "underlay", look };
