/** A lab as a graph: its namespaces, their devices and addresses, and what joins them, as the kernel tells it now. */
import type { GraphDevice, LabGraph } from "../../core/model/lab.ts";
import { isRecord, listOf, textOf, type Fields } from "../../core/networks/render/plain.ts";
import type { StandingLab } from "./standing.ts";

function deviceOf(link: Fields): GraphDevice {
  const info = isRecord(link["linkinfo"]) ? link["linkinfo"] : {};
  const flags = Array.isArray(link["flags"]) ? link["flags"] : [];
  const addresses = listOf(link["addr_info"])
    .filter((each) => each["scope"] !== "link")
    .map((each) => `${textOf(each["local"])}/${String(each["prefixlen"])}`);
  return {
    name: textOf(link["ifname"]),
    kind: textOf(info["info_kind"]) || textOf(link["link_type"]),
    up: flags.includes("UP"),
    addresses,
    master: textOf(link["master"]) || null,
  };
}

interface Seen {
  place: string;
  link: Fields;
}

const peerOf = (link: Fields): number | null => (typeof link["link_index"] === "number" ? link["link_index"] : null);

/**
 * Both ends of veth pairs. Each end knows the other's number and, by a number of its own namespace's, the other's namespace; two ends that
 * know each other's numbers in namespaces that know each other are a pair.
 */
function pairs(all: readonly Seen[], ids: ReadonlyMap<string, ReadonlyMap<number, string>>): LabGraph["links"] {
  const isVeth = ({ link }: Seen): boolean => deviceOf(link).kind === "veth";
  const byPlace = new Map<string, Seen[]>();
  for (const each of all.filter(isVeth)) byPlace.set(each.place, [...(byPlace.get(each.place) ?? []), each]);
  const links: LabGraph["links"] = [];
  const done = new Set<string>();
  for (const each of all.filter(isVeth)) {
    const { place, link } = each;
    const number = link["link_netnsid"];
    const there = typeof number === "number" ? ids.get(place)?.get(number) : place;
    const other = byPlace
      .get(there ?? "")
      ?.find((one) => one.link["ifindex"] === peerOf(link) && peerOf(one.link) === link["ifindex"]);
    if (other === undefined) continue;
    const ends = [
      { place, device: textOf(link["ifname"]) },
      { place: other.place, device: textOf(other.link["ifname"]) },
    ].toSorted((a, b) => (`${a.place} ${a.device}` < `${b.place} ${b.device}` ? -1 : 1));
    const [from, to] = ends;
    const key = JSON.stringify(ends);
    if (from === undefined || to === undefined || done.has(key)) continue;
    done.add(key);
    links.push({ kind: "veth", from, to });
  }
  return links;
}

/** VXLAN and the like: to each machine that has the address of one of the device's remote ends. */
function tunnels(
  fdb: readonly { place: string; entries: Fields[] }[],
  namespaces: LabGraph["namespaces"],
): LabGraph["links"] {
  const owner = new Map(
    namespaces.flatMap(({ place, devices }) =>
      devices.flatMap((device) => device.addresses.map((address) => [address.replace(/\/\d+$/, ""), place] as const)),
    ),
  );
  const links = new Map<string, LabGraph["links"][number]>();
  for (const { place, entries } of fdb)
    for (const entry of entries) {
      const device = textOf(entry["ifname"]);
      const there = owner.get(textOf(entry["dst"]));
      const [from, to] = [place, there ?? ""].toSorted();
      if (there === undefined || from === undefined || to === undefined || there === place) continue;
      const other =
        namespaces.find((each) => each.place === there)?.devices.some((each) => each.name === device) === true;
      if (other)
        links.set(`${device} ${from} ${to}`, {
          kind: "tunnel",
          from: { place: from, device },
          to: { place: to, device },
        });
    }
  return [...links.values()];
}

/** Reads the graph. Rejects with LabError when a listing fails. */
export async function graphOf(lab: StandingLab): Promise<LabGraph> {
  const [addresses, ids, fdb] = await Promise.all(
    [
      ["ip", "-j", "-d", "addr"],
      ["ip", "-j", "netns", "list-id"],
      ["bridge", "-j", "fdb"],
    ].map((argv) => lab.must(lab.places.map((each) => ({ at: each.place, argv })))),
  );
  const parse = (text: string | undefined): Fields[] =>
    listOf(JSON.parse(text === undefined || text.trim() === "" ? "[]" : text));
  const all: Seen[] = [];
  const namespaces = lab.places.map(({ place, netns }, i) => {
    const links = parse(addresses?.[i]?.out);
    all.push(...links.map((link) => ({ place, link })));
    return {
      place,
      netns,
      devices: links
        .map(deviceOf)
        .filter((each) => each.name !== "lo" || each.addresses.some((ip) => !/^(127\.|::1)/.test(ip))),
    };
  });
  const byName = new Map(lab.places.map((each) => [each.netns, each.place]));
  const known = new Map(
    lab.places.map(({ place }, i) => [
      place,
      new Map(
        parse(ids?.[i]?.out).flatMap((each) =>
          typeof each["nsid"] === "number" ? [[each["nsid"], byName.get(textOf(each["name"])) ?? ""]] : [],
        ),
      ),
    ]),
  );
  const entries = lab.places.map(({ place }, i) => ({ place, entries: parse(fdb?.[i]?.out) }));
  return {
    format: "kubewalk.lab-graph/v1",
    lab: lab.name,
    namespaces,
    links: [...pairs(all, known), ...tunnels(entries, namespaces)],
  };
}
