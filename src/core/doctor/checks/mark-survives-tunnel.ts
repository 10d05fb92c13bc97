/**
 * The mark by which kube-proxy has packets masqueraded outlives encapsulation: the packet that carries a marked one has its mark
 * (iptunnel_xmit and vxlan_xmit leave skb->mark alone), meets the same rule, and is masqueraded itself. kube-proxy clears the mark before it
 * masquerades (`--xor-mark`, since v1.19), unless something took that rule away. The tunnel then has another source port or address, and
 * keeps it as long as its connection is in the table.
 */
import { ask } from "../../engine/walk.ts";
import { formatIp } from "../../model/address.ts";
import type { CtEntry } from "../../model/conntrack.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Step } from "../../model/walk.ts";
import { conntrackLine } from "../../show/lines.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf } from "../deaths.ts";
import { usableEndpoints } from "../expect.ts";

/** Walks of a node that are tried: in a large cluster one, since each goes every way to the Service's endpoints. */
const triesIn = (chart: Chart): number => (chart.hosts.length > LARGE ? 1 : 3);
const LARGE = 50;

const NATS = /-j (MASQUERADE|SNAT)\b|\b(masquerade|snat)\b/;

/** Whether a step rewrites, or would rewrite, the source of what carries a tunnel. */
const isNatOfCarrier = (step: Step): boolean =>
  step.layer > 0 && step.kind === "rule" && step.verdict === "accept" && NATS.test(step.text);

const tunnels = (host: Namespace): boolean =>
  host.links.some((link) => link.up && ["vxlan", "ipip", "gre", "sit", "ip6tnl", "geneve"].includes(link.kind.kind));

/** Walks of the node itself to Services with backends elsewhere: the node's own address is masqueraded into the tunnel. */
function candidates(chart: Chart, host: Namespace): Walked[] {
  return chart
    .surveyFrom(host.place)
    .filter(({ target }) => {
      if (target.aim.kind !== "service" || target.aim.way !== "clusterIP") return false;
      const { service, port } = target.aim;
      return usableEndpoints(chart.dir, service, port, target.address.includes(":") ? 6 : 4).some(
        (each) => each.node !== null && each.node !== host.node,
      );
    })
    .slice(0, triesIn(chart));
}

/**
 * Whether the kernel leaves the zero checksum of a VXLAN packet alone when NAT rewrites it (ea64d8d6c675, Linux 5.7): older ones made one up,
 * and the peer discarded the packet (kubernetes/kubernetes#88986).
 */
function mendsChecksums(chart: Chart, host: Namespace): boolean {
  const found = /^(\d+)\.(\d+)/.exec(chart.dir.nodes.get(host.node)?.kernelVersion ?? "");
  return found !== null && (Number(found[1]) > 5 || (Number(found[1]) === 5 && Number(found[2]) >= 7));
}

interface Survived {
  nat: Step;
  /** What set the mark that it matches. */
  marked: Step;
}

/** A path on which the inner packet was marked on the host, never unmarked, and the carrier was masqueraded there. */
function survivedOn(steps: readonly Step[], host: Namespace): Survived | null {
  const own = steps.filter((step) => step.at === host.place);
  const at = own.findIndex(isNatOfCarrier);
  if (at < 0) return null;
  const marks = own.slice(0, at).filter((step) => step.changed?.mark !== undefined);
  const last = marks.at(-1);
  // The carrier has the inner packet's mark; one that was set on the carrier itself is somebody's intention.
  return last === undefined || last.layer > 0 || last.changed?.mark === 0 ? null : { nat: own[at]!, marked: last };
}

function survived(chart: Chart, host: Namespace): Survived | null {
  for (const { question } of candidates(chart, host)) {
    for (const { steps = [] } of ask(chart.world, question, { steps: true }).outcomes) {
      const found = survivedOn(steps, host);
      if (found !== null) return found;
    }
  }
  return null;
}

/** Connections of the node's tunnels whose source was rewritten. `moved`: to another address, not just another port. */
function rewritten(host: Namespace): { entry: CtEntry; moved: boolean }[] {
  const ports = new Set(host.links.flatMap((link) => (link.kind.kind === "vxlan" ? [link.kind.port] : [])));
  const own = new Set(host.links.flatMap((link) => link.addresses.map((each) => each.ip.key)));
  return host.conntrack.flatMap((entry) => {
    const carries = entry.proto === 4 || entry.proto === 47 || (entry.proto === 17 && ports.has(entry.orig.dport));
    if (!carries || !own.has(entry.orig.src.key)) return [];
    const moved = entry.reply.dst.key !== entry.orig.src.key;
    return moved || entry.reply.dport !== entry.orig.sport ? [{ entry, moved }] : [];
  });
}

function suspicion(chart: Chart, host: Namespace): Suspicion[] {
  if (!tunnels(host)) return [];
  const found = survived(chart, host);
  const entries = rewritten(host);
  const moved = entries.filter((each) => each.moved);
  if (found === null && moved.length === 0) return [];
  // A port of its own loses nothing by itself; an address of its own is what peers refuse.
  const deaths = deathsOf(chart).filter((death) =>
    death.path.some((step) => step.at === host.place && isNatOfCarrier(step) && step.changed?.src !== undefined),
  );
  const to = found?.nat.changed?.src;
  const effect =
    to === undefined
      ? `these leave with another source port${mendsChecksums(chart, host) ? ", which this kernel and its peers take" : ", and kernels before 5.7 then give them a wrong checksum, with which peers discard them"}`
      : `these leave with ${to}, which peers may not take for an end of the tunnel`;
  return [
    {
      id: "mark-survives-tunnel",
      at: host.place,
      summary:
        found === null
          ? `Packets of ${host.node}'s tunnel to ${formatIp(moved[0]!.entry.orig.dst)} leave with ${formatIp(moved[0]!.entry.reply.dst)} instead of ${formatIp(moved[0]!.entry.orig.src)} as long as this connection is in the table`
          : `On ${host.node} the mark of packets to be masqueraded survives encapsulation, so that the packets of the tunnel are masqueraded, too: ${effect}`,
      evidence: [
        ...(found === null ? [] : [found.nat, found.marked]).flatMap((step) =>
          step.source === undefined ? [] : [chart.evidence(step.source)],
        ),
        ...entries.slice(0, 3).map(({ entry }) => chart.evidence(entry.source, conntrackLine(entry))),
      ],
      remedy: [
        ...(found === null
          ? []
          : [
              `# restart kube-proxy on ${host.node}: it writes its rule again that clears the mark before it masquerades (until then:`,
              "# iptables -t nat -I KUBE-POSTROUTING 2 -j MARK --xor-mark 0x4000)",
            ]),
        ...(entries.length === 0 ? [] : ["# then let the tunnel's connections begin anew:"]),
        ...entries
          .slice(0, 5)
          .map(({ entry }) =>
            entry.proto === 17
              ? `conntrack -D -p udp --orig-dst ${formatIp(entry.orig.dst)} --dport ${entry.orig.dport}`
              : `conntrack -D -p ${entry.proto} --orig-dst ${formatIp(entry.orig.dst)}`,
          ),
      ],
      hurts: hurtsOf(deaths),
      otherwise: to === undefined && moved.length === 0 && mendsChecksums(chart, host) ? "info" : "warning",
    },
  ];
}

export const markSurvivesTunnel: Check = {
  ids: ["mark-survives-tunnel"],
  depth: "overlay",
  look: (chart): Diagnosis => ({ suspicions: chart.hosts.flatMap((host) => suspicion(chart, host)) }),
};
