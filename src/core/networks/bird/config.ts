/** BIRD 2's configuration of such a host. */
import { bare, checkHost, families, familyOf, type HostBird, type Uplink } from "./host.ts";
import { MAIN_TABLE } from "../state.ts";

/** `tor_a`, `tor_b` … in the order of the uplinks. */
const nameOf = (index: number): string => `tor_${String.fromCodePoint(97 + index)}`;

function filters(host: HostBird, family: 4 | 6): string[] {
  const own = host.services.filter((each) => familyOf(each) === family);
  const behind = (host.behind?.prefixes ?? []).filter((each) => familyOf(each) === family).map((each) => `${each}+`);
  return [
    `filter announced${family} {`,
    `  if net ~ [ ${[...own, ...behind].join(", ")} ] then accept;`,
    "  reject;",
    "}",
    "",
  ];
}

function kernel(host: HostBird, family: 4 | 6): string[] {
  const table = host.table ?? MAIN_TABLE;
  const source = bare(host.services.find((each) => familyOf(each) === family)!);
  return [
    `protocol kernel kernel${family} {`,
    ...(table === MAIN_TABLE ? [] : [`  kernel table ${table};`]),
    "  scan time 20;",
    "  merge paths on;",
    `  ipv${family} {`,
    "    import none;",
    "    export filter {",
    "      # The host's own routes stay the kernel's.",
    '      if source != RTS_BGP || proto = "calico" then reject;',
    `      krt_prefsrc = ${source};`,
    "      accept;",
    "    };",
    "  };",
    "}",
    "",
  ];
}

function session(host: HostBird, uplink: Uplink, index: number): string[] {
  const family = familyOf(uplink.router);
  return [
    `protocol bgp ${nameOf(index)} {`,
    `  local ${bare(uplink.address)} as ${host.as};`,
    `  neighbor ${uplink.router} as ${uplink.as};`,
    `  interface "${uplink.dev}";`,
    "  direct;",
    "  # Another BIRD may listen on the host's other addresses.",
    "  strict bind on;",
    "  hold time 9;",
    "  keepalive time 3;",
    "  connect retry time 5;",
    `  ipv${family} {`,
    "    import all;",
    `    export filter announced${family};`,
    "    next hop self;",
    "  };",
    "}",
    "",
  ];
}

function otherSpeaker(host: HostBird): string[] {
  if (host.behind === undefined || host.behind === null) return [];
  const { address, port, as, prefixes } = host.behind;
  const family = familyOf(address);
  const source = bare(host.services.find((each) => familyOf(each) === family) ?? address);
  return [
    "protocol bgp calico {",
    `  local ${source} as ${host.as};`,
    `  neighbor ${address} port ${port} as ${as};`,
    "  multihop;",
    "  strict bind on;",
    `  ipv${family} {`,
    `    import where net ~ [ ${prefixes.map((each) => `${each}+`).join(", ")} ];`,
    "    export none;",
    "  };",
    "}",
    "",
  ];
}

/** The configuration as text. The router id is the first address of IPv4. Throws HostBirdError when the description makes no sense. */
export function hostBirdConfig(host: HostBird): string {
  checkHost(host);
  const known = families(host);
  const id =
    host.services.find((each) => familyOf(each) === 4) ??
    host.uplinks.find((each) => familyOf(each.address) === 4)?.address;
  const lines = [
    "log syslog all;",
    ...(id === undefined ? [] : [`router id ${bare(id)};`]),
    "",
    "protocol device {",
    "  scan time 10;",
    "}",
    "",
    "protocol direct services {",
    ...known.map((family) => `  ipv${family};`),
    '  interface "lo";',
    "}",
    "",
    ...known.flatMap((family) => [...filters(host, family), ...kernel(host, family)]),
    ...host.uplinks.flatMap((uplink, i) => (known.includes(familyOf(uplink.router)) ? session(host, uplink, i) : [])),
    ...otherSpeaker(host),
  ];
  return `${lines.join("\n").trimEnd()}\n`;
}
