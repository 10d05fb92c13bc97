/** Faults of single pods, and of what connects them to their node. */
import { podAddresses, podsOn } from "../daemons/addresses.ts";
import { LabError, type Lab, type LabPlace } from "../parts.ts";
import { claimsAt, commandFault, host, nodeOf, restore, sh, shell, type Options, type ShippedFault } from "./fault.ts";
import { removeObject, restoreObjects } from "./objects.ts";

/** The n-th pod of a node, or the one that the option `pod=NAMESPACE/NAME` names. Throws LabError when there is none. */
function podOf(lab: Lab, options: Options, node: string, n: number, option = "pod"): LabPlace {
  const own = podsOn(lab, node);
  const given = options[option];
  const found =
    given === undefined ? own[n] : own.find(({ pod }) => `${pod?.namespace}/${pod?.name}` === String(given));
  if (found === undefined)
    throw new LabError(`${option}: ${node} has no pod ${given === undefined ? n + 1 : String(given)}`);
  return found;
}

function addressOf(lab: Lab, place: LabPlace): string {
  const [address] = podAddresses(lab, place);
  if (address === undefined) throw new LabError(`${place.place} has no address`);
  return address;
}

/** The node's device for a pod, as its route leads to it. */
function hostDevice(lab: Lab, node: string, place: LabPlace): string {
  const route = claimsAt(lab, host(node), "route").find(({ state }) => state.dst === `${addressOf(lab, place)}/32`);
  const dev = route?.state.ways[0]?.dev;
  if (dev === null || dev === undefined)
    throw new LabError(`${node} has no route to ${place.place} alone: this fault needs Calico's pods`);
  return dev;
}

export const hairpinOff: ShippedFault = {
  id: "hairpin-off",
  summary: "a pod cannot reach itself through its Service",
  scenario: "shop",
  breakIt: (lab, options) => bridgePorts(lab, nodeOf(lab, options, 1), "off"),
  mendIt: (lab, options) => bridgePorts(lab, nodeOf(lab, options, 1), "on"),
};

/** /sys shows the machine's own devices, so that the ports are asked of the kernel. */
async function bridgePorts(lab: Lab, node: string, state: "on" | "off"): Promise<void> {
  await sh(
    lab,
    host(node),
    `for port in $(ip -o link show master cni0 | awk -F'[:@ ]+' '{print $2}'); do bridge link set dev "$port" hairpin ${state}; done`,
  );
}

export const duplicatePodAddress = commandFault(
  { id: "duplicate-pod-address", summary: "a pod has another pod's address besides its own", scenario: "shop" },
  (lab, options) => {
    const node = nodeOf(lab, options, 1);
    const other = addressOf(lab, podOf(lab, options, node, 0, "other"));
    const change = (verb: string): string => `ip address ${verb} ${other}/32 dev eth0`;
    return { at: podOf(lab, options, node, 1).place, breaks: [change("add")], mends: [change("del")] };
  },
);

export const podRouteMissing: ShippedFault = {
  id: "pod-route-missing",
  summary: "a node has lost the route to one of its own pods",
  scenario: "calico-vxlan",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 1);
    await sh(lab, host(node), `ip route del ${addressOf(lab, podOf(lab, options, node, 0))}/32`);
  },
  async mendIt(lab, options) {
    const node = nodeOf(lab, options, 1);
    const dst = `${addressOf(lab, podOf(lab, options, node, 0))}/32`;
    await restore(
      lab,
      claimsAt(lab, host(node), "route").filter(({ state }) => state.dst === dst),
    );
  },
};

/** Whether a node answers its pods for 169.254.1.1. */
async function proxyArp(lab: Lab, node: string, value: number): Promise<void> {
  const pods = podsOn(lab, node);
  const settings = pods.map((place) => `net.ipv4.conf.${hostDevice(lab, node, place)}.proxy_arp=${value}`);
  await sh(lab, host(node), ...settings.map((each) => `sysctl -qw ${each}`));
  // What pods remember would hide it for a while.
  await lab.must(pods.map(({ place }) => shell(place, "ip neigh flush all")));
}

export const podGatewaySilent: ShippedFault = {
  id: "pod-gateway-silent",
  summary: "a node no longer answers its pods for their gateway 169.254.1.1, and they have forgotten its MAC address",
  scenario: "calico-vxlan",
  breakIt: (lab, options) => proxyArp(lab, nodeOf(lab, options, 1), 0),
  mendIt: (lab, options) => proxyArp(lab, nodeOf(lab, options, 1), 1),
};

export const leakedAddress: ShippedFault = {
  id: "leaked-address",
  summary: "a pod is gone, and its namespace and address are still there",
  scenario: "shop",
  async breakIt(lab, options) {
    const { pod } = podOf(lab, options, nodeOf(lab, options, 1), 2);
    removeObject(lab, this.id, { kind: "Pod", namespace: pod?.namespace ?? "", name: pod?.name ?? "" });
  },
  async mendIt(lab) {
    restoreObjects(lab, this.id);
  },
};

export const underlayBypassesServices: ShippedFault = {
  id: "underlay-bypasses-services",
  summary: "a pod is attached to the nodes' own network by macvlan, past every rule of its node",
  scenario: "shop",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 1);
    const pod = podOf(lab, options, node, 1);
    await sh(
      lab,
      host(node),
      `ip link add kwmv0 link eth0 type macvlan mode bridge`,
      `ip link set kwmv0 netns ${pod.netns} name net1`,
    );
    await sh(
      lab,
      pod.place,
      "ip address add 172.30.0.250/24 dev net1",
      "ip link set net1 up",
      "ip route replace default via 172.30.0.1 dev net1",
      "ip route flush dev eth0 10.244.0.0/16",
    );
  },
  async mendIt(lab, options) {
    const pod = podOf(lab, options, nodeOf(lab, options, 1), 1);
    await sh(lab, pod.place, "ip link del net1");
    const lines = claimsAt(lab, pod.place, "route").map(
      ({ state }) => `ip route replace ${state.dst} via ${state.ways[0]?.via} dev ${state.ways[0]?.dev}`,
    );
    await sh(lab, pod.place, ...lines);
  },
};

/** The pod that the option names, else the first one named web, and its TCP port. */
function serverOf(lab: Lab, options: Options): { place: LabPlace; port: number } {
  const given = options["pod"];
  const place = lab.places.find(({ pod }) =>
    given === undefined ? pod?.name.startsWith("web") === true : `${pod?.namespace}/${pod?.name}` === String(given),
  );
  if (place === undefined) throw new LabError(`pod: the lab has no pod ${given === undefined ? "web" : String(given)}`);
  return { place, port: Number(options["port"] ?? 8080) };
}

/** Where the program listens instead. */
const ELSEWHERE = 9090;

export const nothingListens: ShippedFault = {
  id: "nothing-listens",
  summary: "a ready pod's program listens on another port than its Service leads to",
  scenario: "shop",
  async breakIt(lab, options) {
    const { place, port } = serverOf(lab, options);
    await lab.release(place.place, port);
    await lab.serve([{ at: place.place, proto: "tcp", port: ELSEWHERE }]);
  },
  async mendIt(lab, options) {
    const { place, port } = serverOf(lab, options);
    await lab.release(place.place, ELSEWHERE);
    await lab.serve([{ at: place.place, proto: "tcp", port }]);
  },
};

export const listensOnLoopback: ShippedFault = {
  id: "listens-on-loopback",
  summary: "a ready pod's program listens on 127.0.0.1 alone",
  scenario: "shop",
  async breakIt(lab, options) {
    const { place, port } = serverOf(lab, options);
    await lab.release(place.place, port);
    await lab.serve([{ at: place.place, proto: "tcp", port, address: "127.0.0.1" }]);
  },
  async mendIt(lab, options) {
    const { place, port } = serverOf(lab, options);
    await lab.release(place.place, port);
    await lab.serve([{ at: place.place, proto: "tcp", port }]);
  },
};
