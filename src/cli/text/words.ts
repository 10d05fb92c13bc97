/** What contract words mean, in plain ones. */
import type { ClientResult, Disposition } from "../../core/model/walk.ts";

/** What the calling program meets, as the end of "the connection …". */
export function clientWords(client: ClientResult): string {
  switch (client) {
    case "answered":
      return "answered";
    case "timeout":
      return "times out";
    case "refused":
      return "connection refused";
    case "network-unreachable":
      return "network is unreachable";
    case "host-unreachable":
      return "no route to host";
    case "not-permitted":
      return "operation not permitted";
    case "prohibited":
      return "permission denied";
    case "invalid":
      return "invalid argument";
    case "too-big":
      return "message too long";
    case "inconclusive":
      return "not known";
  }
}

/** What became of the packet. */
export function dispositionWords(disposition: Disposition): string {
  switch (disposition) {
    case "delivered":
      return "delivered";
    case "answered":
      return "answered";
    case "left-the-cluster":
      return "left the cluster";
    case "dropped":
      return "dropped";
    case "rejected":
      return "rejected";
    case "no-route":
      return "no route";
    case "neighbour-unreachable":
      return "the next hop does not answer";
    case "no-listener":
      return "nothing listens";
    case "martian":
      return "dropped as a martian";
    case "rp-filter":
      return "dropped by the reverse path filter";
    case "ttl-exceeded":
      return "its TTL ran out";
    case "too-big":
      return "too big for the next link";
    case "loop":
      return "goes in circles";
    case "source-refused-by-fabric":
      return "its source address is refused by the fabric";
    case "inconclusive":
      return "not known";
  }
}
