/** A namespace's kernel settings, listening sockets, virtual servers and programs on devices, as items to compare. */
import { formatIp } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import { ipvsLine, socketLine } from "../show/lines.ts";
import type { Item } from "./items.ts";
import type { PieceList } from "./pieces.ts";
import type { StandIns } from "./stand-ins.ts";

/** Settings that the kernel counts, draws or derives from the machine's memory at boot: no one sets them, no packet asks them. */
const NOT_SET =
  /\.(?:nf_conntrack_count|nr_conntracks|stable_secret|tcp_fastopen_key|tcp_mem|udp_mem|tcp_max_orphans|tcp_max_tw_buckets|random_seed)$|^net\.ipv4\.fib_sync_mem$/;

/** A device's part of a key: `net.ipv4.conf.eth0.forwarding`, `net.ipv6.neigh.eth0.…`. */
const OF_DEVICE = /^net\.(?:ipv[46]|mpls)\.(?:conf|neigh)\.(.+)\.[^.]+$/;

/** Keys of devices that only one side has say no more than that the device came or went. */
function sysctls(ns: Namespace, standIns: StandIns): Item[] {
  const found: Item[] = [];
  const devices = new Set(ns.links.map((link) => link.name.replaceAll(".", "/")));
  for (const [key, { value, line }] of ns.sysctls.values) {
    if (NOT_SET.test(key)) continue;
    const dev = OF_DEVICE.exec(key)?.[1];
    const known = dev !== undefined && devices.has(dev);
    const name = known && standIns.any(ns.place) ? standIns.text(ns.place, dev.replaceAll("/", ".")) : dev;
    found.push({
      key: known ? key.replace(`.${dev}.`, `.${name}.`) : key,
      what: key,
      fields: { value },
      text: `${key} = ${value}`,
      source: { file: ns.sysctls.file, line },
      learned: known,
    });
  }
  return found;
}

/** First port that the kernel hands out by itself (ip_local_port_range). */
function firstEphemeral(ns: Namespace): number {
  const range = ns.sysctls.values.get("net.ipv4.ip_local_port_range")?.value ?? "32768";
  return Number.parseInt(range, 10);
}

/** Sockets that wait for others. A port that the kernel picked, on loopback alone or for a client of UDP, is random. */
function sockets(ns: Namespace, standIns: StandIns): Item[] {
  const ephemeral = firstEphemeral(ns);
  return ns.sockets.flatMap((socket) => {
    const { proto, ip, port, dev, remote } = socket;
    if (remote !== null || (proto !== "tcp" && proto !== "udp")) return [];
    const loopback = ip !== null && (formatIp(ip) === "::1" || formatIp(ip).startsWith("127."));
    if (port >= ephemeral && (loopback || proto === "udp")) return [];
    const what = `${proto} ${ip === null ? "*" : formatIp(ip)}:${port}${dev === null ? "" : ` dev ${dev}`}`;
    const key = standIns.text(ns.place, `${what} ${socket.family}`);
    const fields = { v6only: String(socket.v6only) };
    return [{ key, what, fields, text: socketLine(socket), source: socket.source }];
  });
}

/** Virtual servers of IPVS and the real servers behind each. */
function ipvs(ns: Namespace, standIns: StandIns): Item[] {
  return ns.ipvs.flatMap((service) => {
    const name = `${service.proto ?? "fwmark"} ${service.ip === null ? String(service.fwmark) : formatIp(service.ip)} ${service.port}`;
    const head: Item = {
      key: name,
      what: ipvsLine({ ...service, scheduler: "", flags: [], persistent: null }, null).trim(),
      fields: {
        scheduler: service.scheduler,
        persistent: String(service.persistent ?? ""),
        flags: service.flags.join(" "),
      },
      text: ipvsLine(service, null),
      source: service.source,
    };
    const reals = service.reals.map((real): Item => {
      const server = `${formatIp(real.ip)} ${real.port}`;
      return {
        key: standIns.text(ns.place, `${name} ${server}`),
        what: `${head.what} → ${server}`,
        fields: { method: real.method, weight: String(real.weight), tunnel: real.tunnel?.type ?? "" },
        text: ipvsLine(service, real),
        source: real.source,
      };
    });
    return [head, ...reals];
  });
}

function programs(ns: Namespace, standIns: StandIns): Item[] {
  return ns.tc.map(({ dev, kind, line }) => ({
    key: standIns.text(ns.place, `${dev} ${kind}`),
    what: `${kind} dev ${dev}`,
    fields: {},
    text: `${kind} dev ${dev}`,
    source: { file: `${ns.dir}/tc.json`, line },
  }));
}

export const SETTINGS: readonly PieceList[] = [
  { kind: "sysctl", aspects: ["sysctl"], items: sysctls },
  { kind: "socket", aspects: ["sockets"], items: sockets },
  { kind: "ipvs", aspects: ["ipvs"], items: ipvs },
  { kind: "program", aspects: ["tc"], items: programs },
];
