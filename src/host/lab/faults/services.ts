/** Faults of Services, of their endpoints and of who answers for them. */
import { clusterOf } from "../../../core/networks/render/cluster-of.ts";
import type { Service } from "../../../core/model/cluster.ts";
import { internalIp, podAddresses, podsOn } from "../daemons/addresses.ts";
import { LabError, type Lab, type LabPlace } from "../parts.ts";
import { commandFault, host, nodeOf, sh, type Options, type ShippedFault } from "./fault.ts";
import { addObject, changeObject, objectsNow, removeObject, restoreObjects } from "./objects.ts";
import { reloadRules } from "./reload.ts";

type Fields = Record<string, unknown>;

/** The Service that an option names, `service=shop/web`, else the usual one. Throws LabError when it is not there. */
function serviceOf(lab: Lab, options: Options, usual: string): Service {
  const wanted = String(options["service"] ?? usual);
  const found = clusterOf(lab.intended.objects).services.find(
    ({ namespace, name }) => `${namespace}/${name}` === wanted,
  );
  if (found === undefined) throw new LabError(`service: the lab has no Service ${wanted}`);
  return found;
}

/** Slices of a Service. */
const slicesOf = (lab: Lab, { namespace, name }: Pick<Service, "namespace" | "name">) =>
  lab.intended.objects.filter(
    (each) =>
      each.kind === "EndpointSlice" &&
      each.namespace === namespace &&
      (each.value["metadata"] as { labels?: Record<string, string> }).labels?.["kubernetes.io/service-name"] === name,
  );

/** A fault of objects alone; `follows`: whether the networks' programs hear of it. */
function objectFault(
  about: Pick<ShippedFault, "id" | "summary" | "scenario">,
  follows: boolean,
  change: (lab: Lab, options: Options) => void,
): ShippedFault {
  const turn = async (lab: Lab, act: () => void): Promise<void> => {
    const before = objectsNow(lab);
    act();
    if (follows) await reloadRules(lab, before);
  };
  return {
    ...about,
    breakIt: (lab, options) => turn(lab, () => change(lab, options)),
    mendIt: (lab) => turn(lab, () => restoreObjects(lab, about.id)),
  };
}

/** Every endpoint of a Service as if its pods were not ready, or not there. */
function withoutEndpoints(lab: Lab, by: string, service: Service): void {
  for (const slice of slicesOf(lab, service)) changeObject(lab, by, slice, (value) => void (value["endpoints"] = []));
}

export const noEndpoint = objectFault(
  { id: "no-endpoint", summary: "a Service selects no pod", scenario: "shop" },
  true,
  (lab, options) => {
    const service = serviceOf(lab, options, "shop/web");
    changeObject(lab, "no-endpoint", { kind: "Service", ...service }, (value) => {
      (value["spec"] as Fields)["selector"] = { app: "wbe" };
    });
    withoutEndpoints(lab, "no-endpoint", service);
  },
);

export const wrongTargetPort = objectFault(
  { id: "wrong-target-port", summary: "a Service points at a port where nothing listens", scenario: "shop" },
  true,
  (lab, options) => {
    const service = serviceOf(lab, options, "shop/web");
    changeObject(lab, "wrong-target-port", { kind: "Service", ...service }, (value) => {
      for (const port of (value["spec"] as { ports: Fields[] }).ports) port["targetPort"] = 9999;
    });
    for (const slice of slicesOf(lab, service))
      changeObject(lab, "wrong-target-port", slice, (value) => {
        for (const port of value["ports"] as Fields[]) port["port"] = 9999;
      });
  },
);

export const dnsDown = objectFault(
  { id: "dns-down", summary: "no DNS server is ready", scenario: "shop" },
  true,
  (lab) => {
    const service = serviceOf(lab, {}, "kube-system/kube-dns");
    withoutEndpoints(lab, "dns-down", service);
    for (const pod of lab.intended.objects.filter(({ kind, namespace, value }) => {
      const { labels } = value["metadata"] as { labels?: Record<string, string> };
      return kind === "Pod" && namespace === "kube-system" && labels?.["k8s-app"] === "kube-dns";
    }))
      changeObject(lab, "dns-down", pod, (value) => {
        (value["status"] as Fields)["conditions"] = [{ type: "Ready", status: "False" }];
      });
  },
);

/** The first pod behind a Service. */
function firstPod(lab: Lab, service: Service): LabPlace {
  const [first] = slicesOf(lab, service).flatMap(
    ({ value }) => value["endpoints"] as { targetRef?: { namespace: string; name: string } }[],
  );
  const found = lab.places.find(
    ({ pod }) => pod?.name === first?.targetRef?.name && pod?.namespace === first?.targetRef?.namespace,
  );
  if (found === undefined) throw new LabError(`Service ${service.namespace}/${service.name} has no pod behind it`);
  return found;
}

/** A pod's device down and without its address, as when the pod is gone. */
const leave = (lab: Lab, place: string): Promise<string> =>
  sh(lab, place, "ip address flush dev eth0 scope global", "ip link set eth0 down");

/** Up again, with its addresses and routes. */
async function comeBack(lab: Lab, place: string): Promise<void> {
  const claims = lab.intended.claims.filter(({ at }) => at === place);
  await sh(
    lab,
    place,
    "ip link set eth0 up",
    ...claims.flatMap((claim) =>
      claim.kind === "address" ? [`ip address replace ${claim.state.address} dev ${claim.state.dev}`] : [],
    ),
    ...claims.flatMap((claim) => {
      if (claim.kind !== "route") return [];
      const [way] = claim.state.ways;
      return [`ip route replace ${claim.state.dst} via ${way?.via} dev ${way?.dev}`];
    }),
  );
}

export const kubeProxyStale: ShippedFault = {
  id: "kube-proxy-stale",
  summary: "kube-proxy hangs while a pod behind a Service goes away",
  scenario: "shop",
  async breakIt(lab, options) {
    const service = serviceOf(lab, options, "shop/web");
    const { place, pod } = firstPod(lab, service);
    for (const slice of slicesOf(lab, service))
      changeObject(lab, this.id, slice, (value) => {
        value["endpoints"] = (value["endpoints"] as { targetRef?: { name: string } }[]).filter(
          ({ targetRef }) => targetRef?.name !== pod?.name,
        );
      });
    removeObject(lab, this.id, { kind: "Pod", namespace: pod?.namespace ?? "", name: pod?.name ?? "" });
    await leave(lab, place);
  },
  async mendIt(lab, options) {
    restoreObjects(lab, this.id);
    await comeBack(lab, firstPod(lab, serviceOf(lab, options, "shop/web")).place);
  },
};

export const hostportWormhole = objectFault(
  {
    id: "hostport-wormhole",
    summary: "a pod with hostPort 80 swallows what is sent to the LoadBalancer's port 80",
    scenario: "metallb-l2",
  },
  true,
  (lab, options) => {
    const node = nodeOf(lab, options, 1);
    const pod = podsOn(lab, node).find(({ pod: own }) => own?.name.startsWith("client"))?.pod;
    if (pod === undefined || pod === null) throw new LabError(`${node} has no pod client`);
    changeObject(lab, "hostport-wormhole", { kind: "Pod", ...pod }, (value) => {
      const [container] = (value["spec"] as { containers: { ports?: Fields[] }[] }).containers;
      if (container !== undefined) container.ports = [{ containerPort: 8080, hostPort: 80, protocol: "TCP" }];
    });
  },
);

export const policyBlocks = objectFault(
  { id: "policy-blocks", summary: "an egress policy forgets DNS", scenario: "calico-vxlan" },
  true,
  (lab) =>
    addObject(lab, "policy-blocks", {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { namespace: "shop", name: "no-dns" },
      spec: {
        podSelector: { matchLabels: { app: "client" } },
        policyTypes: ["Egress"],
        egress: [{ to: [{ podSelector: {} }] }],
      },
    }),
);

export const staleUdpConntrack = commandFault(
  {
    id: "stale-udp-conntrack",
    summary: "a UDP client keeps talking to a pod that is gone, because its connection remembers it",
    scenario: "shop",
  },
  (lab, options) => {
    const node = nodeOf(lab, options, 1);
    const [vip = ""] = serviceOf(lab, options, "kube-system/kube-dns").clusterIPs;
    const [client = ""] = podsOn(lab, node).flatMap((place) => podAddresses(lab, place));
    const entry = `-p udp -s ${client} -d ${vip} --sport 40000 --dport 53 -r 10.244.250.9 -q ${client}`;
    return {
      at: host(node),
      breaks: [`conntrack -I ${entry} --reply-port-src 53 --reply-port-dst 40000 -t 600`],
      mends: [`conntrack -D -p udp --orig-dst ${vip} || true`],
    };
  },
);

/** Ports that the rule of `snat-ports-exhausted` leaves. */
const FIRST = 40_000;
const COUNT = 10;

export const snatPortsExhausted = commandFault(
  {
    id: "snat-ports-exhausted",
    summary: "all ports that a masquerading rule may use are taken for one destination",
    scenario: "shop",
  },
  (lab, options) => {
    const node = nodeOf(lab, options, 1);
    const [client = ""] = podsOn(lab, node).flatMap((place) => podAddresses(lab, place));
    const rule = (verb: string): string =>
      `iptables -t nat ${verb} POSTROUTING -p tcp -d 192.168.30.2 -j MASQUERADE --to-ports ${FIRST}-${FIRST + COUNT - 1}`;
    const entries = Array.from({ length: COUNT }, (_, i) => {
      const there = `-p tcp -s ${client} -d 192.168.30.2 --sport ${50_000 + i} --dport 8080`;
      const back = `-r 192.168.30.2 -q ${internalIp(lab, node)} --reply-port-src 8080 --reply-port-dst ${FIRST + i}`;
      return `conntrack -I ${there} ${back} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 600`;
    });
    return {
      at: host(node),
      breaks: [rule("-I"), ...entries],
      mends: [rule("-D"), "conntrack -D -p tcp --orig-dst 192.168.30.2 || true"],
    };
  },
);

export const ingressUnanswered = commandFault(
  {
    id: "ingress-unanswered",
    summary: "SYNs of the ingress controller to a backend go unanswered although the way is open",
    scenario: "ingress",
  },
  (lab) => {
    const place = lab.places.find(({ pod }) => pod?.name === "ingress");
    if (place === undefined) throw new LabError("the lab has no pod named ingress");
    const [from = ""] = podAddresses(lab, place);
    const [vip = ""] = serviceOf(lab, {}, "shop/web").clusterIPs;
    const backend = clusterOf(lab.intended.objects)
      .endpointSlices.filter(({ namespace, service }) => namespace === "shop" && service === "web")
      .flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses))[0];
    const entries = Array.from({ length: 5 }, (_, i) => {
      const there = `-p tcp -s ${from} -d ${vip} --sport ${50_000 + i} --dport 80`;
      const back = `-r ${backend} -q ${from} --reply-port-src 8080 --reply-port-dst ${50_000 + i}`;
      return `conntrack -I ${there} ${back} --state SYN_SENT -t 100`;
    });
    return {
      at: host(place.machine),
      breaks: entries,
      mends: [`conntrack -D -p tcp --orig-src ${from} --orig-dst ${vip} || true`],
    };
  },
);

/** Where a client is sent that affinity holds: the list of an endpoint's chain. */
async function affinityList(lab: Lab, node: string, backend: string): Promise<string> {
  const out = await sh(lab, host(node), "iptables-save -t nat");
  const found = new RegExp(`^-A (KUBE-SEP-\\S+) .*--to-destination ${backend.replaceAll(".", "\\.")}:`, "m").exec(out);
  if (found === null) throw new LabError(`${node} has no rule that leads to ${backend}`);
  return `/proc/net/xt_recent/${found[1]}`;
}

/** A pod behind a Service with affinity, its node, and a client on another node. */
function pinned(lab: Lab): { place: string; backend: string; client: string; node: string } {
  const db = lab.places.find(({ pod }) => pod?.name === "db-1");
  const node = nodeOf(lab, {}, 1);
  const from = podsOn(lab, node).find(({ pod }) => pod?.name.startsWith("client"));
  const [backend] = db === undefined ? [] : podAddresses(lab, db);
  const [client] = from === undefined ? [] : podAddresses(lab, from);
  if (db === undefined || backend === undefined || client === undefined)
    throw new LabError("this fault needs the scenario shop: pods db-1 and client");
  return { place: db.place, backend, client, node };
}

export const affinityDeadBackend: ShippedFault = {
  id: "affinity-dead-backend",
  summary: "session affinity holds a client to a pod that is dead",
  scenario: "shop",
  async breakIt(lab) {
    const { place, backend, client, node } = pinned(lab);
    await sh(lab, host(node), `echo +${client} > ${await affinityList(lab, node, backend)}`);
    await leave(lab, place);
  },
  async mendIt(lab) {
    const { place, backend, client, node } = pinned(lab);
    await sh(lab, host(node), `echo -${client} > ${await affinityList(lab, node, backend)}`);
    await comeBack(lab, place);
  },
};

/** Enough that the kernel counts the table as full but for a tenth. */
const PART = 0.92;

export const conntrackFull: ShippedFault = {
  id: "conntrack-full",
  summary: "the table of connections of a node is nearly full",
  scenario: "shop",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 1);
    const max = Number(await sh(lab, host(node), "cat /proc/sys/net/netfilter/nf_conntrack_max"));
    const wanted = Math.ceil(max * PART);
    const lines = Array.from({ length: wanted }, (_, i) => {
      const [a, b] = [`10.244.${100 + (i >> 16)}.${(i >> 8) & 255}`, 1024 + (i & 255)];
      return `-A -p udp -s ${a} -d 192.0.2.1 --sport ${b} --dport 9 -r 192.0.2.1 -q ${a} --reply-port-src 9 --reply-port-dst ${b} -t 600`;
    });
    const path = `${lab.folderOf(node)}/connections`;
    await lab.write(path, `${lines.join("\n")}\n`);
    await sh(lab, host(node), `conntrack -R ${path} > /dev/null 2>&1 || true`, `rm ${path}`);
  },
  async mendIt(lab, options) {
    await sh(lab, host(nodeOf(lab, options, 1)), "conntrack -F");
  },
};
