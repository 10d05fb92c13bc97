/** Faults of Linux itself or of programs that a lab does not have: each says why, and what stands in its place where something can. */
import { nodeNames } from "../daemons/addresses.ts";
import { LabError, type Lab } from "../parts.ts";
import { host, sh, type ShippedFault } from "./fault.ts";

/** A fault that no lab can have. */
function never(id: string, summary: string, why: string): ShippedFault {
  const refuse = async (): Promise<void> => {
    throw new LabError(`${id}: ${why}`);
  };
  return { id, summary, scenario: "shop", missing: () => why, breakIt: refuse, mendIt: refuse };
}

export const neighbourTableOverflow = never(
  "neighbour-table-overflow",
  "the kernel's table of neighbours is full",
  "its limits (net.ipv4.neigh.default.gc_thresh3) are one for all of the machine, which a lab leaves as it is",
);

export const tcpTwRecycle = never(
  "tcp-tw-recycle",
  "TCP drops connections of clients behind one address whose clocks differ",
  "net.ipv4.tcp_tw_recycle went with Linux 4.12: it needs an older kernel",
);

/** Python: a server on Weave's control port that takes connections and says nothing. */
const LISTEN = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", 6783))
s.listen(64)
while True:
    s.accept()
`;

/** The nodes' devices and routers of a mesh: on all nodes but the first, where the router is dead. */
export const meshBroken: ShippedFault = {
  id: "mesh-broken",
  summary: "a router of a mesh such as Weave Net's does not run on one node (listeners stand for the others)",
  scenario: "shop",
  async breakIt(lab) {
    const [, ...others] = nodeNames(lab);
    for (const node of nodeNames(lab)) await sh(lab, host(node), "ip link add weave type bridge");
    for (const node of others) await lab.start(`mesh@${node}`, { at: host(node), argv: ["python3", "-c", LISTEN] });
    await listening(lab, others);
  },
  async mendIt(lab) {
    for (const node of nodeNames(lab)) {
      await lab.stop(`mesh@${node}`);
      await sh(lab, host(node), "ip link del weave");
    }
  },
};

async function listening(lab: Lab, nodes: readonly string[]): Promise<void> {
  for (const node of nodes)
    await sh(
      lab,
      host(node),
      "for i in $(seq 50); do ss -Hltn 'sport = :6783' | grep -q . && exit 0; sleep 0.1; done; exit 1",
    );
}
