/** `ss -H -O -lntuwe`: one socket a line (iproute2 misc/ss.c). */
import { parseIp, type Ip } from "../model/address.ts";
import type { Socket } from "../model/socket.ts";
import { ParseError } from "../model/source.ts";
import { decimal, forEachLine } from "./lines.ts";

/** An address and a port as ss prints them together. */
interface Place {
  family: 4 | 6;
  /** Null is the wildcard. */
  ip: Ip | null;
  /** `[::]` and not `*`: the socket takes IPv6 only. */
  v6Wildcard: boolean;
  dev: string | null;
  /** Null is `*`. */
  port: number | null;
}

/**
 * Reads `0.0.0.0:80`, `*:80`, `[::1]:80`, `10.0.0.1%eth0:53`, `*%eth0:80`, `[fe80::1]%eth0:90`; null when it is none.
 * ss prints the IPv6 wildcard as `*` when the socket also takes IPv4, as `[::]` when it does not (inet_addr_print).
 */
function parsePlace(text: string): Place | null {
  const colon = text.lastIndexOf(":");
  if (colon < 0) return null;
  const portText = text.slice(colon + 1);
  const port = portText === "*" ? null : decimal(portText, 65535);
  if (port === null && portText !== "*") return null;
  const host = text.slice(0, colon);
  const percent = host.indexOf("%");
  const dev = percent < 0 ? null : host.slice(percent + 1);
  if (dev === "") return null;
  let address = percent < 0 ? host : host.slice(0, percent);
  if (address === "*") return { family: 6, ip: null, v6Wildcard: false, dev, port };
  const bracketed = address.startsWith("[") && address.endsWith("]");
  if (bracketed) address = address.slice(1, -1);
  const ip = parseIp(address);
  if (ip === null || (ip.v === 6) !== bracketed) return null;
  const any = ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 0;
  return { family: ip.v, ip: any ? null : ip, v6Wildcard: any && ip.v === 6, dev, port };
}

function parseSocket(line: string, file: string, number: number): Socket {
  const fail = (message: string): ParseError => new ParseError({ file, line: number }, message);
  const words = line.split(" ").filter((word) => word !== "");
  const [proto, state, recvQ, sendQ, localText, remoteText] = words;
  if (proto === undefined || !/^[a-z][a-z0-9_-]*$/.test(proto)) throw fail("expected a protocol");
  if (state === undefined || !/^[A-Z][A-Z0-9_-]*$/.test(state)) throw fail("expected a socket's state");
  if (decimal(recvQ ?? "") === null || decimal(sendQ ?? "") === null) throw fail("expected the lengths of two queues");
  const local = localText === undefined ? null : parsePlace(localText);
  if (local === null) throw fail(`"${localText ?? ""}" is no address and port`);
  const remote = remoteText === undefined ? null : parsePlace(remoteText);
  if (remote === null) throw fail(`"${remoteText ?? ""}" is no address and port`);

  const socket: Socket = {
    proto,
    state,
    family: local.family,
    ip: local.ip,
    port: local.port ?? 0,
    dev: local.dev,
    v6only: local.v6Wildcard,
    remote: remote.ip !== null ? { ip: remote.ip, port: remote.port ?? 0 } : null,
    inode: null,
    uid: 0,
    cgroup: null,
    source: { file, line: number },
  };
  for (const word of words.slice(6)) {
    const colon = word.indexOf(":");
    const value = word.slice(colon + 1);
    switch (word.slice(0, Math.max(colon, 0))) {
      case "v6only":
        if (value !== "0" && value !== "1") throw fail(`malformed "${word}"`);
        socket.v6only = value === "1";
        break;
      case "uid":
      case "ino": {
        const n = decimal(value);
        if (n === null) throw fail(`malformed "${word}"`);
        if (word.startsWith("uid")) socket.uid = n;
        else socket.inode = n;
        break;
      }
      case "cgroup":
        socket.cgroup = value;
        break;
      // sk:, timer:, users:, fwmark:, <-> and more: nothing that decides about a packet.
    }
  }
  return socket;
}

/**
 * Reads what `ss -H -O -lntuwe` prints; `file` is its path in the snapshot. A `raw` socket's port is its protocol's number.
 * Throws ParseError when a line is no socket.
 */
export function parseSockets(text: string, file: string): Socket[] {
  const sockets: Socket[] = [];
  forEachLine(text, file, (line, number) => sockets.push(parseSocket(line, file, number)));
  return sockets;
}
