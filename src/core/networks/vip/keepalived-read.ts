/** A recorded keepalived.conf, read into what VRRP goes by. */
import { parseIp } from "../../model/address.ts";
import { ParseError, type Source } from "../../model/source.ts";
import type { MachineFile } from "../site.ts";
import { parseBlocks, type Statement } from "./blocks.ts";

/** A check whose outcome counts for the priority. */
export interface TrackedScript {
  name: string;
  /** Added when it succeeds (positive), taken off when it fails (negative); 0: when it fails the instance is in FAULT. */
  weight: number;
  /** False when the file defines no script of this name: keepalived ignores the line. */
  defined: boolean;
  source: Source;
}

export interface VirtualAddress {
  address: string;
  prefixLen: number;
  /** Device, when it is not that of the instance. */
  dev: string | null;
  source: Source;
}

export interface VrrpInstance {
  name: string;
  /** What it starts as; a BACKUP becomes MASTER when nobody with a higher priority is heard. */
  state: "MASTER" | "BACKUP";
  interface: string;
  routerId: number;
  /** 1…254; 255 is the address's owner. */
  priority: number;
  /** Seconds. */
  advertInterval: number;
  noPreempt: boolean;
  unicastSource: string | null;
  /** Empty: multicast to 224.0.0.18 or ff02::12. */
  unicastPeers: string[];
  /** First 8 characters count; null for none, and with VRRP version 3 (every IPv6 instance), which has no passwords. */
  password: string | null;
  addresses: VirtualAddress[];
  scripts: TrackedScript[];
  /** Devices that must be up besides its own. */
  trackedInterfaces: string[];
  source: Source;
}

export interface KeepalivedConf {
  instances: VrrpInstance[];
  /** What keepalived would not take, each with its line. */
  problems: ParseError[];
}

/** keepalived's defaults (vrrp/vrrp_data.c, include/vrrp.h: VRRP_PRIO_DFL, VRRP_ADVER_DFL). */
const DEFAULT_PRIORITY = 100;
const DEFAULT_ADVERT = 1;
const PASSWORD_LENGTH = 8;
/** `vrrp_version`: 2 unless told otherwise; IPv6 needs 3, and authentication was taken out of that (RFC 9568 9). */
const DEFAULT_VERSION = 2;

const named = (list: readonly Statement[], name: string): Statement | undefined =>
  list.find((each) => each.words[0] === name);

/** `192.0.2.1/24 dev eth0 …`; a word that is no address becomes a problem. */
function addressesIn(statement: Statement | undefined, problems: ParseError[]): VirtualAddress[] {
  return (statement?.body ?? []).flatMap((each): VirtualAddress[] => {
    const [text = "", ...rest] = each.words;
    const [address = "", len] = text.split("/");
    const ip = parseIp(address);
    const most = ip?.v === 4 ? 32 : 128;
    if (ip === null || (len !== undefined && !(/^\d+$/.test(len) && Number(len) <= most))) {
      problems.push(new ParseError(each.source, `"${text}" is no address that keepalived could hold`));
      return [];
    }
    const dev = rest[rest.indexOf("dev") + 1];
    return [
      {
        address,
        prefixLen: len === undefined ? most : Number(len),
        dev: rest.includes("dev") && dev !== undefined ? dev : null,
        source: each.source,
      },
    ];
  });
}

function numberIn(
  block: readonly Statement[],
  name: string,
  range: readonly [number, number],
  fallback: number,
  problems: ParseError[],
): number {
  const statement = named(block, name);
  if (statement === undefined) return fallback;
  const value = Number(statement.words[1]);
  if (statement.words[1] === undefined || !Number.isFinite(value) || value < range[0] || value > range[1]) {
    problems.push(
      new ParseError(
        statement.source,
        `${name} should be ${range[0]} to ${range[1]}, not ${statement.words[1] ?? "nothing"}`,
      ),
    );
    return fallback;
  }
  return value;
}

function instanceOf(
  statement: Statement,
  scripts: ReadonlyMap<string, number>,
  globalVersion: number,
  problems: ParseError[],
): VrrpInstance | null {
  const block = statement.body ?? [];
  const name = statement.words[1] ?? "";
  const word = (key: string): string | null => named(block, key)?.words[1] ?? null;
  const device = word("interface");
  const routerId = numberIn(block, "virtual_router_id", [1, 255], 0, problems);
  const addresses = addressesIn(named(block, "virtual_ipaddress"), problems);
  if (device === null) problems.push(new ParseError(statement.source, `vrrp_instance ${name} has no interface`));
  if (routerId === 0 && named(block, "virtual_router_id") === undefined)
    problems.push(new ParseError(statement.source, `vrrp_instance ${name} has no virtual_router_id`));
  if (device === null || routerId === 0) return null;
  const track = (named(block, "track_script")?.body ?? []).map((each): TrackedScript => {
    const script = each.words[0] ?? "";
    const own = each.words[each.words.indexOf("weight") + 1];
    if (!scripts.has(script))
      problems.push(new ParseError(each.source, `no vrrp_script is named ${script}: keepalived ignores it`));
    return {
      name: script,
      weight: each.words.includes("weight") ? Number(own) : (scripts.get(script) ?? 0),
      defined: scripts.has(script),
      source: each.source,
    };
  });
  const peers = (named(block, "unicast_peer")?.body ?? []).flatMap((each) => {
    const [peer = ""] = each.words;
    if (parseIp(peer) !== null) return [peer];
    problems.push(new ParseError(each.source, `"${peer}" is no address of a peer`));
    return [];
  });
  const version = addresses.some((each) => each.address.includes(":"))
    ? 3
    : numberIn(block, "version", [2, 3], globalVersion, problems);
  const password = named(named(block, "authentication")?.body ?? [], "auth_pass")?.words[1];
  return {
    name,
    state: word("state") === "MASTER" ? "MASTER" : "BACKUP",
    interface: device,
    routerId,
    priority: numberIn(block, "priority", [1, 255], DEFAULT_PRIORITY, problems),
    advertInterval: numberIn(block, "advert_int", [0.01, 255], DEFAULT_ADVERT, problems),
    noPreempt: named(block, "nopreempt") !== undefined,
    unicastSource: word("unicast_src_ip"),
    unicastPeers: peers,
    password: version === 3 ? null : (password?.slice(0, PASSWORD_LENGTH) ?? null),
    addresses,
    scripts: track,
    trackedInterfaces: (named(block, "track_interface")?.body ?? []).map((each) => each.words[0] ?? ""),
    source: statement.source,
  };
}

/**
 * Reads a machine's keepalived.conf. Throws ParseError when its braces do not match; everything else that keepalived would not take is
 * a problem with its line, and an instance without an interface or an id is left out.
 */
export function readKeepalived(file: MachineFile): KeepalivedConf {
  const problems: ParseError[] = [];
  const statements = parseBlocks(file.text, file.source.file);
  const scripts = new Map<string, number>();
  for (const each of statements)
    if (each.words[0] === "vrrp_script" && each.words[1] !== undefined)
      scripts.set(each.words[1], numberIn(each.body ?? [], "weight", [-253, 253], 0, problems));
  const globals = named(statements, "global_defs")?.body ?? [];
  const version = numberIn(globals, "vrrp_version", [2, 3], DEFAULT_VERSION, problems);
  const instances: VrrpInstance[] = [];
  for (const each of statements) {
    if (each.words[0] !== "vrrp_instance") continue;
    const instance = instanceOf(each, scripts, version, problems);
    if (instance === null) continue;
    const twin = instances.find(
      (other) => other.routerId === instance.routerId && other.interface === instance.interface,
    );
    if (twin !== undefined)
      problems.push(
        new ParseError(
          each.source,
          `virtual_router_id ${instance.routerId} is that of ${twin.name} on ${twin.interface}, too`,
        ),
      );
    instances.push(instance);
  }
  return { instances, problems };
}
