/** Expressions that ask the host: `fib`, `socket`, `rt` (nft_fib*.c, nft_socket.c, nft_rt.c). */
import type { AddrType, FibAnswer } from "../context.ts";
import type { EvalState } from "../program.ts";
import { word, words } from "./json.ts";
import type { NftObject } from "./json.ts";
import { plain, unknown } from "./scope.ts";
import type { Expr } from "./scope.ts";
import { FIB_TYPE as RTN } from "./symbols.ts";
import * as t from "./types.ts";
import type { Load, Loaded } from "./value.ts";

interface FibFlags {
  addr: "saddr" | "daddr";
  mark: boolean;
  iif: boolean;
  oif: boolean;
}

function flagsOf(body: NftObject): FibFlags {
  const list = words(body["flags"]);
  return {
    addr: list.includes("saddr") ? "saddr" : "daddr",
    mark: list.includes("mark"),
    iif: list.includes("iif"),
    oif: list.includes("oif"),
  };
}

/**
 * `fib … type`: inet_dev_addr_type of the address, with the device that the flags name (nft_fib4_eval_type). For IPv6
 * with a mark it is a route lookup that sees the mark (nft_fib6_eval_type).
 */
function addrType(flags: FibFlags): Load {
  return (s) => {
    const found = typeOf(s, flags);
    if (found !== "unknown") return RTN[found];
    s.why = `the type of the address for fib ${flags.addr} is not known`;
    return undefined;
  };
}

function typeOf(s: EvalState, flags: FibFlags): AddrType | "unknown" {
  if (s.pkt.v === 6 && flags.mark) {
    const found = s.services.fib(s, flags);
    return found === "unknown" ? found : found.type;
  }
  const dev = flags.iif ? s.iif : flags.oif ? s.oif : null;
  return s.services.addrType(s, flags.addr === "saddr" ? s.pkt.src : s.pkt.dst, dev);
}

/** nft_fib_store_result: device and index are empty and 0 when there is no route. */
const fibRoute =
  (flags: FibFlags, read: (found: FibAnswer) => Loaded): Load =>
  (s) => {
    const found = s.services.fib(s, flags);
    if (found !== "unknown") return read(found);
    s.why = `the route for fib ${flags.addr} is not known`;
    return undefined;
  };

/** `{"fib": {"result": …, "flags": […]}}`; `exists` when it is compared with a boolean (NFTA_FIB_F_PRESENT). */
export function fibExpr(body: NftObject, exists: boolean): Expr {
  const flags = flagsOf(body);
  const result = word(body, "result");
  if (result === "type") return plain(t.FIB_TYPE, addrType(flags));
  if (exists || result === "check")
    return plain(
      t.BOOLEAN,
      fibRoute(flags, (found) => (found.oif === null ? 0 : 1)),
    );
  if (result === "oif")
    return plain(
      t.IFACE,
      fibRoute(flags, (found) => found.oif?.name ?? "#0"),
    );
  if (result === "oifname")
    return plain(
      t.IFNAME,
      fibRoute(flags, (found) => found.oif?.name ?? ""),
    );
  return unknown(`fib ${result} is not modelled`, t.HOST_INTEGER);
}

/** nft_socket_eval: NFT_BREAK without a socket, which may be bound to any address (xt_socket alone passes over these); `transparent` is inet_sk_transparent of it. */
const transparent: Load = (s) => {
  const any = s.services.socket(s, { transparent: false, nowildcard: true });
  if (any === false) return null;
  const isTransparent = s.services.socket(s, { transparent: true, nowildcard: true });
  if (any === "unknown" || isTransparent === "unknown") {
    s.why = "whether a socket is there for the packet is not known";
    return undefined;
  }
  return isTransparent ? 1 : 0;
};

const socketLost =
  (key: string): Load =>
  (s) => {
    if (s.services.socket(s, { transparent: false, nowildcard: true }) === false) return null;
    s.why = `socket ${key} is not known`;
    return undefined;
  };

/** `{"socket": {"key": …}}`. */
export function socketExpr(body: NftObject): Expr {
  const key = word(body, "key");
  return key === "transparent" ? plain(t.BOOLEAN, transparent) : plain(t.MARK, socketLost(key));
}
