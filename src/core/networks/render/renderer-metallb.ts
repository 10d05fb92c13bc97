/** MetalLB: which address a Service gets, who answers for it on layer 2, FRR's configuration for BGP. */
import { compareIp, formatIp, parseIp, type Ip } from "../../model/address.ts";
import { numberOf, addressOf, sizeOf, nth } from "../calico/ipam/range.ts";
import { bgpAnnouncements, l2Announcements } from "../metallb/announce.ts";
import { frrConfig } from "../metallb/frr-config.ts";
import { addressPools, poolOf, type AddressPool } from "../metallb/objects.ts";
import { IntentError } from "../network.ts";
import { clusterOf } from "./cluster-of.ts";
import { clusterFamilies } from "./fill-in.ts";
import { familiesOf } from "./fill-services.ts";
import { errorOf, type WrittenObject } from "./objects.ts";
import { listOf, part, textOf } from "./plain.ts";
import { rendererOf, type OnMachine, type RenderedNote } from "./renderer.ts";

/** Addresses of a pool in order: its ranges as they stand. */
function* addressesOf(pool: AddressPool, family: 4 | 6): Generator<Ip> {
  for (const range of pool.ranges) {
    if ("len" in range) {
      if (range.ip.v !== family) continue;
      for (let n = 0n; n < sizeOf(range); n++) yield nth(range, n);
    } else if (range.first.v === family) {
      const first = numberOf(range.first);
      for (let ip = range.first; compareIp(ip, range.last) <= 0; ip = addressOf(numberOf(ip) + 1n, family)) {
        yield ip;
        if (numberOf(ip) - first > 1_000_000n) return;
      }
    }
  }
}

const annotation = (service: WrittenObject, name: string): string => {
  const annotations = part(part(service.value, "metadata"), "annotations");
  return textOf(annotations[`metallb.io/${name}`]) || textOf(annotations[`metallb.universe.tf/${name}`]);
};

/** The addresses that a Service asks for (controller/service.go, getDesiredLbIPs); empty for any. */
function askedFor(service: WrittenObject): string[] {
  const noted = annotation(service, "loadBalancerIPs").split(",");
  const asked = [...noted, textOf(part(service.value, "spec")["loadBalancerIP"])];
  return asked.map((each) => each.trim()).filter((each) => each !== "");
}

/** Writes addresses into Services that have none, as the controller does: those asked for, else the first free of the pools (internal/allocator). */
function giveAddresses(objects: readonly WrittenObject[]): void {
  const pools = addressPools(clusterOf(objects.filter((each) => each.kind === "IPAddressPool")));
  if (pools.length === 0) throw new IntentError("the objects hold no IPAddressPool: MetalLB has no address to give");
  const byHand = new Set(
    objects
      .filter((each) => each.kind === "IPAddressPool" && part(each.value, "spec")["autoAssign"] === false)
      .map((each) => each.name),
  );
  const ingress = (service: WrittenObject): string[] =>
    listOf(part(part(service.value, "status"), "loadBalancer")["ingress"]).map((each) => textOf(each["ip"]));
  const services = objects.filter(
    (each) => each.kind === "Service" && part(each.value, "spec")["type"] === "LoadBalancer",
  );
  const taken = new Set(services.flatMap((each) => [...ingress(each), ...askedFor(each)]));
  for (const service of services) {
    if (ingress(service).length > 0) continue;
    const asked = askedFor(service);
    const wrong = asked.find((ip) => parseIp(ip) === null || poolOf(pools, ip) === null);
    if (wrong !== undefined) throw errorOf(service, `asks for ${wrong}, which is in no IPAddressPool`);
    const named = annotation(service, "address-pool");
    const usable = pools.filter((pool) => (named === "" ? !byHand.has(pool.name) : pool.name === named));
    const wanted = familiesOf(part(service.value, "spec"), clusterFamilies(objects));
    const ips =
      asked.length > 0
        ? asked
        : wanted.map((family) => {
            for (const pool of usable)
              for (const ip of addressesOf(pool, family))
                if (!taken.has(formatIp(ip))) {
                  taken.add(formatIp(ip));
                  return formatIp(ip);
                }
            throw errorOf(
              service,
              `no address of ${usable.map((pool) => pool.name).join(", ") || "any pool"} is left for it`,
            );
          });
    part(part(service.value, "status"), "loadBalancer")["ingress"] = ips.map((ip) => ({ ip }));
  }
}

const list = (names: readonly string[]): string => (names.length === 0 ? "" : `; next would be ${names.join(", ")}`);

/** On layer 2: what a node answers for. What nobody answers for stands at the first node. */
function answers({ site, machine }: OnMachine): RenderedNote[] {
  const all = l2Announcements(site.cluster);
  const mine = all
    .filter(({ node }) => node === machine.name)
    .map(({ service, address, pool, interfaces, standby }) => {
      const devices = interfaces.length === 0 ? "every device" : interfaces.join(", ");
      const what = address.includes(":") ? "neighbour solicitations" : "ARP";
      const whose = `${service.namespace}/${service.name}`;
      return `${address}  answers ${what} on ${devices}, for Service ${whose} of pool ${pool}${list(standby)}`;
    });
  const nobody =
    site.machines[0] === machine
      ? all
          .filter(({ node }) => node === null)
          .map(
            ({ service, address, because }) =>
              `${address}  of Service ${service.namespace}/${service.name}: ${because ?? ""}`,
          )
      : [];
  return [
    ...(mine.length === 0 ? [] : [{ at: machine.place, title: "the speaker on layer 2", lines: mine }]),
    ...(nobody.length === 0 ? [] : [{ at: machine.place, title: "addresses that nobody answers for", lines: nobody }]),
  ];
}

/** By BGP: what a node tells, and to whom. */
function told({ site, machine }: OnMachine): RenderedNote[] {
  const lines = bgpAnnouncements(site.cluster)
    .filter(({ node }) => node === machine.name)
    .map(
      ({ service, prefix, peers }) =>
        `${prefix}  to ${peers.join(", ")}, for Service ${service.namespace}/${service.name}`,
    );
  return lines.length === 0 ? [] : [{ at: machine.place, title: "the speaker by BGP", lines }];
}

export const metallbRenderer = rendererOf(
  "metallb",
  "MetalLB: addresses of LoadBalancer Services, who answers for each on layer 2, FRR's configuration",
  [],
  (objects) => {
    giveAddresses(objects);
    return {
      objects,
      started: { commands: {}, files: {} },
      networks: [],
      files: ({ site, machine }) => {
        const text = frrConfig(site.cluster, machine.name);
        return text === null ? [] : [{ at: machine.name, path: "/etc/frr/frr.conf", text }];
      },
      notes: (on) => [...answers(on), ...told(on)],
    };
  },
);
