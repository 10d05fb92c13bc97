/** What listens in a namespace (`ss -lntu`), for a question that no packet asked. */
import { parseIp, sameIp } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Socket } from "../model/socket.ts";

/** `other`: only on addresses that are neither this one nor loopback. `unknown`: sockets were not recorded, or can't be all. */
export type Listening = "here" | "loopback" | "other" | "nothing" | "unknown";

const isLoopback = (socket: Socket): boolean => {
  const { ip } = socket;
  return ip !== null && (ip.v === 4 ? ip.a >>> 24 === 127 : ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 1);
};

/** Sockets that take what strangers send: TCP listeners, UDP sockets without a peer. */
export function listeners(ns: Namespace, proto: "tcp" | "udp"): Socket[] {
  return ns.sockets.filter((socket) => socket.proto === proto && socket.remote === null);
}

/** Whether something in `ns` answers `proto` at `address` and `port` (inet_lookup_listener, udp4_lib_lookup); `busy`: something must listen there. */
export function listening(
  ns: Namespace,
  proto: string,
  address: string,
  port: number,
  busy: boolean,
): { state: Listening; sockets: Socket[] } {
  const ip = parseIp(address);
  if (ip === null || ns.missing.has("sockets") || (proto !== "tcp" && proto !== "udp"))
    return { state: "unknown", sockets: [] };
  if (ns.sockets.length === 0 && busy) return { state: "unknown", sockets: [] };
  const sockets = listeners(ns, proto).filter((socket) => socket.port === port);
  const here = sockets.filter((socket) =>
    socket.ip === null ? (socket.family === 6 ? ip.v === 6 || !socket.v6only : ip.v === 4) : sameIp(socket.ip, ip),
  );
  if (here.length > 0) return { state: "here", sockets: here };
  if (sockets.length === 0) return { state: "nothing", sockets };
  return { state: sockets.every(isLoopback) ? "loopback" : "other", sockets };
}
