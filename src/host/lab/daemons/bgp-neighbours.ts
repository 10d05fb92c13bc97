/** Who has a BGP session with a router of the fabric, as the hosts' own descriptions and the cluster's objects say. */
import { birdInput } from "../../../core/networks/calico/bird/input.ts";
import { bgpPeers } from "../../../core/networks/metallb/objects.ts";
import { speakerNodes } from "../../../core/networks/metallb/announce.ts";
import { clusterOf } from "../../../core/networks/render/cluster-of.ts";
import { ownObjects, specOf } from "../../../core/networks/render/own-kinds.ts";
import type { Lab } from "../parts.ts";
import { addressesOf, internalIp } from "./addresses.ts";
import type { Neighbour } from "./router-bird.ts";

const word = (text: string): string => text.replaceAll(/[^A-Za-z0-9]/g, "_");

/** Hosts of kind HostRouter. */
function hostRouters(lab: Lab, own: ReadonlySet<string>): Neighbour[] {
  return ownObjects(lab.intended.objects, "HostRouter").flatMap((object) => {
    const spec = specOf(object);
    return spec.each("uplinks").flatMap((uplink): Neighbour[] => {
      const local = uplink.required("router");
      if (!own.has(local)) return [];
      const [address = ""] = uplink.required("address").split("/");
      const [as, localAs] = [spec.integer("as") ?? 0, uplink.integer("as") ?? 0];
      return [
        { name: `${word(object.name)}_${word(address)}`, address, port: null, as, local, localAs, told: "default" },
      ];
    });
  });
}

/** Calico's nodes with a BGPPeer there. */
function calicoNodes(lab: Lab, own: ReadonlySet<string>): Neighbour[] {
  const cluster = clusterOf(lab.intended.objects);
  return cluster.nodes.flatMap(({ name }) =>
    ([4, 6] as const).flatMap((family) => {
      const input = birdInput(cluster, name, family);
      const address = input?.node.address[family] ?? null;
      if (input === null || address === null) return [];
      return input.explicit
        .filter((peer) => own.has(peer.address))
        .map((peer) => ({
          name: `${word(name)}_${word(address)}`,
          address,
          port: input.settings.port,
          as: peer.localAs ?? input.node.as,
          local: peer.address,
          localAs: peer.as,
          told: "learned" as const,
        }));
    }),
  );
}

/** MetalLB's speakers with a BGPPeer there. */
function metallbSpeakers(lab: Lab, own: ReadonlySet<string>): Neighbour[] {
  const cluster = clusterOf(lab.intended.objects);
  return bgpPeers(cluster)
    .filter((peer) => own.has(peer.address))
    .flatMap((peer) =>
      speakerNodes(cluster)
        .filter(({ labels }) => peer.node(labels))
        .flatMap(({ name }): Neighbour[] => {
          const address = peer.source ?? internalIp(lab, name, peer.address.includes(":") ? 6 : 4);
          const localAs = peer.as === "internal" ? peer.myAs : Number(peer.as);
          if (address === null || !Number.isInteger(localAs)) return [];
          return [
            {
              name: `${word(name)}_${word(address)}`,
              address,
              port: null,
              as: peer.myAs,
              local: peer.address,
              localAs,
              told: "learned",
            },
          ];
        }),
    );
}

/** AS of the router between the switches of a fabric of kind tors. */
const SPINE_AS = 65000;

/** AS of a switch, as the hosts under it have it; null when none of them has a session with it. */
async function switchAs(lab: Lab, machine: string): Promise<number | null> {
  const own = new Set((await addressesOf(lab, `${machine}/host`)).map(({ address }) => address));
  return hostRouters(lab, own)[0]?.localAs ?? null;
}

/** Sessions between the switches and the router above them, by the cables that they share. */
async function switches(lab: Lab, machine: string): Promise<Neighbour[]> {
  if (lab.scenario.fabric.kind !== "tors") return [];
  const tors = lab.machines.filter((name) => /^tor\d$/.test(name));
  const isTor = tors.includes(machine);
  if (!isTor && machine !== "fabric") return [];
  const own = await addressesOf(lab, `${machine}/host`);
  const found = await Promise.all(
    (isTor ? ["fabric"] : tors).map(async (other): Promise<Neighbour[]> => {
      const as = await switchAs(lab, isTor ? machine : other);
      const theirs = await addressesOf(lab, `${other}/host`);
      // Both ends of a /31 or /127.
      const ends = own.flatMap((mine) => {
        const end = theirs.find(({ address }) => areEnds(mine.address, address));
        return end === undefined ? [] : [{ local: mine.address, address: end.address }];
      });
      if (as === null) return [];
      return ends.map(({ local, address }) => ({
        name: `${word(other)}_${word(address)}`,
        address,
        port: null,
        as: isTor ? SPINE_AS : as,
        local,
        localAs: isTor ? as : SPINE_AS,
        told: isTor ? "own" : "default",
      }));
    }),
  );
  return found.flat();
}

/** Whether two addresses are those of one cable: they differ in the last bit alone. */
function areEnds(a: string, b: string): boolean {
  const split = (text: string): [string, number] => {
    const at = Math.max(text.lastIndexOf("."), text.lastIndexOf(":")) + 1;
    return [text.slice(0, at), Number.parseInt(text.slice(at) || "0", text.includes(":") ? 16 : 10)];
  };
  const [[head, last], [otherHead, otherLast]] = [split(a), split(b)];
  return head === otherHead && (last ^ otherLast) === 1;
}

/** Everyone who has a session with a router. */
export async function neighboursAt(lab: Lab, machine: string): Promise<Neighbour[]> {
  const own = new Set((await addressesOf(lab, `${machine}/host`)).map(({ address }) => address));
  return [
    ...hostRouters(lab, own),
    ...calicoNodes(lab, own),
    ...metallbSpeakers(lab, own),
    ...(await switches(lab, machine)),
  ];
}
