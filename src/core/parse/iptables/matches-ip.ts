/** What every rule can ask without `-m`: -s -d -i -o -p -f (ipt_ip and ip6t_ip6, include/uapi/linux/netfilter_ipv4/ip_tables.h). */
import type { XtMatch } from "../../model/xtables.ts";
import { protocolNumber } from "./protocols.ts";
import { network } from "./values.ts";
import { Malformed, shorten } from "./words.ts";

/** IFNAMSIZ with its terminating zero. */
const NAME_MAX = 15;

/**
 * A piece such as `-s 10.0.0.0/8`, `! -i cali+`, `-p tcp` or `-f`. `letter` is the option, `value` what follows it ("" for none).
 * Throws Malformed for a value that is none, and for an option that iptables-save does not print.
 */
export function ipMatch(letter: string, not: boolean, value: string, v6: boolean): XtMatch {
  if (letter === "f" && !v6) {
    if (value !== "") throw new Malformed(`-f: expected another option, found ${shorten(value)}`);
    return { m: "fragment", not };
  }
  if (value === "" || value.includes(" ")) {
    throw new Malformed(`-${letter}: expected one value, found ${shorten(value === "" ? "nothing" : value)}`);
  }
  switch (letter) {
    case "s":
    case "d": {
      const net = network(value, v6, `-${letter}`);
      if ("len" in net) return { m: letter === "s" ? "src" : "dst", not, prefix: net };
      return { m: letter === "s" ? "src-mask" : "dst-mask", not, addr: net };
    }
    case "i":
    case "o":
      if (value.length > NAME_MAX) {
        throw new Malformed(
          `-${letter}: expected an interface of at most ${NAME_MAX} characters, found ${shorten(value)}`,
        );
      }
      return { m: letter === "i" ? "in" : "out", not, name: value };
    case "p":
      return { m: "proto", not, proto: protocolNumber(value, "-p") };
    default:
      throw new Malformed(`expected -s, -d, -i, -o, -p, ${v6 ? "" : "-f, "}-m, -j or -g, found -${letter}`);
  }
}
