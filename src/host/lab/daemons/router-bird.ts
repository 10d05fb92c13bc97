/** BIRD 2's configuration of a router of the fabric: it takes what hosts tell it, passes it on, and gives them its default route. */

/** A host that has a session with the router. */
export interface Neighbour {
  /** Of the protocol: letters, digits and underscores. */
  name: string;
  address: string;
  port: number | null;
  as: number;
  /** The router's own address and AS in this session. */
  local: string;
  localAs: number;
  /** What it is told: what others told the router, the default route alone, or what others told and the router's own networks. */
  told: "learned" | "default" | "own";
}

const family = (address: string): 4 | 6 => (address.includes(":") ? 6 : 4);

function told({ address, told: what }: Neighbour): string {
  const isDefault = `net = ${family(address) === 6 ? "::/0" : "0.0.0.0/0"}`;
  return {
    learned: `source = RTS_BGP && !(${isDefault})`,
    default: isDefault,
    own: `source = RTS_DEVICE || (source = RTS_BGP && !(${isDefault}))`,
  }[what];
}

function session(neighbour: Neighbour): string[] {
  const { name, address, port, as, local, localAs } = neighbour;
  return [
    `protocol bgp ${name} {`,
    `  local ${local} as ${localAs};`,
    `  neighbor ${address}${port === null ? "" : ` port ${port}`} as ${as};`,
    ...(as === localAs ? ["  rr client;"] : []),
    "  multihop;",
    "  hold time 9;",
    "  keepalive time 3;",
    "  connect delay time 1;",
    "  connect retry time 2;",
    "  error wait time 1,5;",
    `  ipv${family(address)} {`,
    "    import all;",
    `    export where ${told(neighbour)};`,
    "    next hop self;",
    "  };",
    "}",
  ];
}

/** The configuration; `id` is an IPv4 address of the router. `isTop`: all that is nowhere else is said to be beyond it. */
export function routerBird(id: string, neighbours: readonly Neighbour[], isTop: boolean): string {
  const families = [...new Set(neighbours.map(({ address }) => family(address)))].toSorted();
  const lines = [
    "log stderr all;",
    `router id ${id};`,
    "protocol device { scan time 2; }",
    ...families.flatMap((each) => [
      `protocol direct direct${each} { ipv${each}; }`,
      `protocol kernel kernel${each} {`,
      "  learn;",
      "  scan time 2;",
      "  merge paths on;",
      `  ipv${each} {`,
      "    import all;",
      "    export where source = RTS_BGP;",
      "  };",
      "}",
      ...(isTop
        ? [`protocol static beyond${each} { ipv${each}; route ${each === 6 ? "::/0" : "0.0.0.0/0"} unreachable; }`]
        : []),
    ]),
    ...neighbours.flatMap(session),
  ];
  return `${lines.join("\n")}\n`;
}
