/**
 * A node goes by an address that is not its own, or not the one that its peers need: kubelet's --node-ip (pkg/kubelet
 * kubelet_node_status.go, validateNodeIP), the Node object, Calico's and flannel's annotations, against the interfaces.
 */
import { formatIp, parseIp, sameIp } from "../../model/address.ts";
import { flagOf } from "../../networks/flags.ts";
import { hostView, unmapped } from "../../networks/node-ip/host-view.ts";
import { parseNodeIp } from "../../networks/node-ip/kubelet.ts";
import { nodeAddressesOf } from "../../networks/node-ip/of-machine.ts";
import { virtualAddresses } from "../../networks/vip/recorded.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { NODE_ADDRESS, oddOneOut, shared } from "../node-peers.ts";
import {
  better,
  holds,
  kubeletRemedy,
  linkEvidence,
  nodeEvidence,
  nodeSubjects,
  through,
  type NodeSubject,
} from "../node-subjects.ts";
import type { Evidence } from "../types.ts";

/** InternalIPs that no interface has. */
function strangeInternal(subject: NodeSubject): Suspicion[] {
  const { chart, host, node } = subject;
  return subject.internal.flatMap((ip): Suspicion[] => {
    if (holds(host, ip)) return [];
    const address = formatIp(ip);
    const asked = chart.survey.filter(
      (walked) => walked.target.address === address && walked.sender.node !== node.name,
    );
    // Whoever translates addresses before the node makes it reachable by one that it does not have.
    const works = asked.length > 0 && asked.every((walked) => walked.failed.length === 0);
    const owner = chart.snapshot.namespaces.find((ns) => ns !== host && ns.place.endsWith("/host") && holds(ns, ip));
    const whose = owner === undefined ? "" : ` (${owner.place} has it)`;
    const command = subject.machine.command("kubelet");
    const flag = command === null ? null : flagOf(command.words, "node-ip");
    const told = flag !== null && parseNodeIp(flag).ips.some((each) => sameIp(each, unmapped(ip)));
    const then = told
      ? "kubelet, told so by --node-ip, will not start again with it"
      : `peers send to it until kubelet reports anew${flag === null || flag === "" ? "" : ` with --node-ip ${flag}`}`;
    return [
      {
        id: NODE_ADDRESS,
        at: host.place,
        summary: `Node ${node.name} goes by the address ${address}, which none of its interfaces has${whose}: ${then}`,
        evidence: [
          nodeEvidence(subject, `InternalIP ${address}`),
          ...(command === null || flag === null ? [] : [chart.evidence(command.source, `kubelet --node-ip ${flag}`)]),
          ...linkEvidence(subject, ip.v),
        ],
        remedy: kubeletRemedy(subject, better(subject, ip.v)),
        hurts: through(chart, ip),
        otherwise: works ? "info" : "warning",
      },
    ];
  });
}

/** What kubelet was told, against what it can be told and what the Node says. */
function kubeletChoice(subject: NodeSubject): Suspicion[] {
  const { chart, host, machine, node } = subject;
  const command = machine.command("kubelet");
  const nodeIp = command === null ? null : flagOf(command.words, "node-ip");
  if (command === null || nodeIp === null || nodeIp === "") return [];
  const evidence = (): Evidence[] => [chart.evidence(command.source, `kubelet --node-ip ${nodeIp}`)];
  const base = { id: NODE_ADDRESS, at: host.place, hurts: [] };
  const choice = nodeAddressesOf(machine, hostView(host));
  const family = parseNodeIp(nodeIp).ips[0]?.v ?? 4;
  if (choice !== null && choice.error !== null)
    return [
      {
        ...base,
        summary: `kubelet of ${node.name} will not start again with --node-ip ${nodeIp}: ${choice.error}`,
        evidence: [...evidence(), ...linkEvidence(subject, family)],
        remedy: kubeletRemedy(subject, better(subject, family)),
        hurts: parseNodeIp(nodeIp).ips.flatMap((ip) => (holds(host, ip) ? [] : through(chart, ip))),
        otherwise: "warning",
      },
    ];
  const found: Suspicion[] = [];
  const mapped = nodeIp.split(",").filter((part) => /^::ffff:/i.test(part.trim()));
  if (mapped.length > 0)
    found.push({
      ...base,
      summary: `kubelet of ${node.name} was given ${mapped.join(", ")}, an IPv4 address written as IPv6: kubelet takes it for IPv4, programs that look for a colon take it for IPv6 and cannot bind it`,
      evidence: evidence(),
      remedy: kubeletRemedy(subject, mapped[0]!.trim().replace(/^::ffff:/i, "")),
      otherwise: "warning",
    });
  const chosen = (choice?.addresses ?? [])
    .filter((each) => each.type === "InternalIP")
    .map((each) => parseIp(each.address));
  const differs = chosen.filter((ip) => ip !== null && !subject.internal.some((each) => sameIp(unmapped(each), ip)));
  const flags = parseNodeIp(nodeIp).ips.map(formatIp);
  // With 0.0.0.0 or :: kubelet asks the host's resolver, which no snapshot holds.
  if (
    differs.length > 0 &&
    subject.internal.length > 0 &&
    differs.every((ip) => ip !== null && flags.includes(formatIp(ip)))
  )
    found.push({
      ...base,
      summary: `kubelet of ${node.name} was started with --node-ip ${nodeIp}, but the Node object has ${subject.internal.map(formatIp).join(", ")}: peers use that one until kubelet reports anew`,
      evidence: [...evidence(), nodeEvidence(subject, `InternalIP ${subject.internal.map(formatIp).join(", ")}`)],
      remedy: kubeletRemedy(subject, nodeIp),
      hurts: subject.internal.flatMap((ip) => (holds(host, ip) ? [] : through(chart, ip))),
      otherwise: "warning",
    });
  return found;
}

/** InternalIPs in the Node object that are written as IPv6 and are none. */
function mappedInternal(subject: NodeSubject): Suspicion[] {
  return subject.node.addresses.flatMap(({ type, address }): Suspicion[] =>
    type === "InternalIP" && /^::ffff:\d+\./i.test(address)
      ? [
          {
            id: NODE_ADDRESS,
            at: subject.host.place,
            summary: `Node ${subject.node.name} has the InternalIP ${address}, an IPv4 address written as IPv6: whoever looks for a colon takes it for IPv6 and cannot bind or reach it`,
            evidence: [nodeEvidence(subject, `InternalIP ${address}`)],
            remedy: kubeletRemedy(subject, address.replace(/^::ffff:/i, "")),
            hurts: [],
            otherwise: "warning",
          },
        ]
      : [],
  );
}

/** Addresses that a network's daemon noted on the Node for its peers to send to. */
const NOTES = [
  {
    key: "projectcalico.org/IPv4Address",
    owner: "Calico",
    remedy: "IP_AUTODETECTION_METHOD=kubernetes-internal-ip",
    pinned: "projectcalico.org/IPv4Address",
  },
  {
    key: "projectcalico.org/IPv6Address",
    owner: "Calico",
    remedy: "IP6_AUTODETECTION_METHOD=kubernetes-internal-ip",
    pinned: "projectcalico.org/IPv6Address",
  },
  {
    key: "flannel.alpha.coreos.com/public-ip",
    owner: "flannel",
    remedy: null,
    pinned: "flannel.alpha.coreos.com/public-ip-overwrite",
  },
  {
    key: "flannel.alpha.coreos.com/public-ipv6",
    owner: "flannel",
    remedy: null,
    pinned: "flannel.alpha.coreos.com/public-ipv6-overwrite",
  },
] as const;

function notedAddress(subject: NodeSubject): Suspicion[] {
  const { chart, host, node } = subject;
  return NOTES.flatMap(({ key, owner, remedy, pinned }): Suspicion[] => {
    const text = node.annotations[key];
    const ip = text === undefined ? null : parseIp(text.split("/", 1)[0] ?? "");
    if (text === undefined || ip === null || holds(host, ip)) return [];
    // Somebody says that the address is translated on the way.
    if (owner === "flannel" && node.annotations[pinned] !== undefined) return [];
    // Another node's address is a claim of two to one, which is told of by itself.
    if (owner === "flannel" && chart.hosts.some((other) => other !== host && holds(other, ip))) return [];
    return [
      {
        id: NODE_ADDRESS,
        at: host.place,
        summary: `${owner} tells the other nodes to reach ${node.name} at ${formatIp(ip)}, which none of its interfaces has`,
        evidence: [nodeEvidence(subject, `${key}: ${text}`), ...linkEvidence(subject, ip.v)],
        remedy:
          remedy === null
            ? [
                `kubectl annotate node ${node.name} --overwrite ${key}=${better(subject, ip.v)}`,
                `# on ${node.name}: restart flanneld`,
              ]
            : [
                `kubectl -n kube-system set env daemonset/calico-node ${remedy}`,
                `kubectl -n kube-system delete pod -l k8s-app=calico-node --field-selector spec.nodeName=${node.name}`,
              ],
        hurts: through(chart, ip),
        otherwise: "warning",
      },
    ];
  });
}

export const nodeAddressWrong: Check = {
  ids: [NODE_ADDRESS],
  depth: "machine",
  look(chart): Diagnosis {
    const subjects = nodeSubjects(chart);
    const vips = new Map(
      [...virtualAddresses(chart.site).byAddress].map(([vip, list]) => [vip, list.map((each) => each.machine.name)]),
    );
    const suspicions = subjects.flatMap((subject): Suspicion[] => {
      const internal = strangeInternal(subject);
      // A Node that has what kubelet was told is one fault, not two.
      const told = internal.length > 0 ? [] : kubeletChoice(subject);
      return [
        ...internal,
        ...told,
        ...mappedInternal(subject),
        ...notedAddress(subject),
        ...oddOneOut(subject, subjects, vips),
      ];
    });
    return { suspicions: [...suspicions, ...shared(subjects)] };
  },
};
