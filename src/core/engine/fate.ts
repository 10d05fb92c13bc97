/** How the way of one packet ends, before that is put into the words of an outcome. */
import type { Socket } from "../model/socket.ts";
import type { Source } from "../model/source.ts";
import type { Disposition } from "../model/walk.ts";
import type { Device } from "./device.ts";
import type { Ns } from "./ns.ts";
import type { Packet } from "./packet.ts";

/** The decision that settled it. `text` is made only when shown. */
export interface Because {
  text: string | (() => string);
  source: Source | null;
}

/** Errors that the kernel hands to the sending program at once. */
export type SendError = "ENETUNREACH" | "EHOSTUNREACH" | "EACCES" | "EINVAL" | "EPERM" | "EMSGSIZE" | "ENETDOWN";

/** An ICMP error that a namespace sends back. */
export interface IcmpError {
  type: number;
  code: number;
  mtu: number | null;
}

export type Fate =
  /** Reached a socket (or the kernel's own echo) in `ns`. */
  | { t: "delivered"; ns: Ns; pkt: Packet; because: Because; wildcard: boolean; socket?: Socket }
  /** Accepted by INPUT, but nothing listens: RST or port unreachable goes back. */
  | { t: "no-listener"; ns: Ns; pkt: Packet; because: Because }
  /** Silently gone. */
  | { t: "lost"; disposition: Disposition; ns: Ns; pkt: Packet; because: Because; local: boolean }
  /** The namespace answers with an ICMP error (unless the packet is one itself). */
  | { t: "error"; disposition: Disposition; ns: Ns; pkt: Packet; icmp: IcmpError; because: Because; local: boolean }
  /** REJECT --reject-with tcp-reset. `port`: the bridge port that a bridged packet came by, and the answer leaves by. */
  | { t: "reset"; ns: Ns; pkt: Packet; because: Because; local: boolean; port: Device | null }
  /** The send itself fails; `rerouted`: in routing again, after OUTPUT had changed the packet. */
  | {
      t: "send-error";
      disposition: Disposition;
      error: SendError;
      ns: Ns;
      pkt: Packet;
      because: Because;
      rerouted?: boolean;
    }
  | { t: "left"; ns: Ns; pkt: Packet; because: Because }
  | { t: "inconclusive"; because: Because };

/** A frame that nobody here wants: not an end by itself, only one place that a flood reached in vain. */
export const UNWANTED = Symbol("unwanted");
export type FrameFate = Fate | typeof UNWANTED;

export function textOf(b: Because): string {
  return typeof b.text === "string" ? b.text : b.text();
}
