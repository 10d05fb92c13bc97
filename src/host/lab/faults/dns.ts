/** Too little DNS: a server that does not read its questions in time. */
import { clusterOf } from "../../../core/networks/render/cluster-of.ts";
import { podAddresses } from "../daemons/addresses.ts";
import { LabError, type Lab, type LabPlace } from "../parts.ts";
import { host, sh, type ShippedFault } from "./fault.ts";

/** Python: so many datagrams, in bursts with a pause in between. */
const FLOOD = `import socket, sys, time
to, count, size, pause = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(count):
    s.sendto(bytes(size), (to, 53))
    if pause and i % 40 == 39:
        time.sleep(pause)
`;

/** Questions in one go, until enough are lost. */
const QUESTIONS = 60;
/** The doctor takes fewer for chance. */
const ENOUGH = 105;
/** Losses are noticed from one in a thousand on: so many good datagrams make up for one. */
const FORGOTTEN = 1050;

function server(lab: Lab): { place: LabPlace; address: string; program: string } {
  const pods = new Set(
    clusterOf(lab.intended.objects)
      .endpointSlices.filter(({ namespace, service }) => namespace === "kube-system" && service === "kube-dns")
      .flatMap(({ endpoints }) => endpoints.map(({ pod }) => pod?.name ?? "")),
  );
  const place = lab.places.find(({ pod }) => pod !== null && pods.has(pod.name));
  const [address] = place === undefined ? [] : podAddresses(lab, place);
  if (place === undefined || address === undefined)
    throw new LabError("the lab has no DNS server: this fault needs the scenario dns-ndots");
  return { place, address, program: `dnsmasq@${place.pod?.name}` };
}

/** A counter of the server's namespace (nstat). */
async function counter(lab: Lab, place: string, name: string): Promise<number> {
  const out = await sh(lab, place, `nstat -asz ${name}`);
  return Number(new RegExp(`^${name}\\s+(\\d+)`, "m").exec(out)?.[1] ?? 0);
}

/** How many datagrams the server's sockets lost so far. */
const lost = (lab: Lab, place: string): Promise<number> => counter(lab, place, "UdpRcvbufErrors");

async function signal(lab: Lab, name: string, which: "STOP" | "CONT"): Promise<void> {
  const pid = (await lab.running()).get(name);
  if (pid === undefined) throw new LabError(`${name} does not run: this fault needs the daemon dnsmasq`);
  await lab.must([{ at: server(lab).place.place, argv: ["kill", `-${which}`, String(pid)] }]);
}

export const dnsOverload: ShippedFault = {
  id: "dns-overload",
  summary: "a DNS server loses questions because it does not read them in time",
  scenario: "dns-ndots",
  async breakIt(lab) {
    const { place, address, program } = server(lab);
    await signal(lab, program, "STOP");
    // A long question takes more of the buffer than a short one.
    for (let round = 0; round < 30 && (await lost(lab, place.place)) < ENOUGH; round++)
      await lab.must([
        { at: host(place.machine), argv: ["python3", "-c", FLOOD, address, String(QUESTIONS), "900", "0"] },
      ]);
    await signal(lab, program, "CONT");
  },
  // Counters only grow: what was lost is little beside what is read afterwards.
  async mendIt(lab) {
    const { place, address, program } = server(lab);
    await signal(lab, program, "CONT");
    for (let round = 0; round < 10; round++) {
      const missing = (await lost(lab, place.place)) * FORGOTTEN - (await counter(lab, place.place, "UdpInDatagrams"));
      if (missing <= 0) return;
      await lab.must([
        { at: host(place.machine), argv: ["python3", "-c", FLOOD, address, String(missing), "1", "0.001"] },
      ]);
    }
  },
};
