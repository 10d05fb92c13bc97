/** `ipvsadm -S -n`: virtual servers (`-A`) and their real servers (`-a`); the format is that of ipvsadm.c, print_service_entry. */
import { parseIp, type Ip } from "../model/address.ts";
import type { IpvsReal, IpvsService } from "../model/ipvs.ts";
import { ParseError, type Source } from "../model/source.ts";
import { decimal, forEachLine } from "./lines.ts";

const PROTOCOLS: Record<string, number> = { "-t": 6, "-u": 17, "--sctp-service": 132 };
const METHODS: Record<string, IpvsReal["method"]> = { "-m": "masq", "-g": "gatewaying", "-i": "ipip" };

/** Reads `10.96.0.1:80` or `[2001:db8::1]:80`; null when it is neither. */
function addressPort(text: string): { ip: Ip; port: number } | null {
  const found = /^(?:\[([^\]]+)\]|([0-9.]+)):(\d+)$/.exec(text);
  const ip = found === null ? null : parseIp(found[1] ?? found[2]!);
  const port = found === null ? null : decimal(found[3]!, 65535);
  return ip === null || port === null ? null : { ip, port };
}

/** Words of one line, taken one after another. */
class Words {
  private at = 0;
  private readonly words: readonly string[];
  private readonly source: Source;

  constructor(line: string, source: Source) {
    this.words = line.split(" ").filter((word) => word !== "");
    this.source = source;
  }

  fail(message: string): ParseError {
    return new ParseError(this.source, message);
  }

  next(): string | undefined {
    return this.words[this.at++];
  }

  peek(): string | undefined {
    return this.words[this.at];
  }

  value(of: string): string {
    const word = this.next();
    if (word === undefined) throw this.fail(`"${of}" has no value`);
    return word;
  }

  number(of: string, max: number): number {
    const word = this.value(of);
    const n = decimal(word, max);
    if (n === null) throw this.fail(`"${of}" should have a number, not "${word}"`);
    return n;
  }
}

const U32 = 0xffffffff;

/** The virtual server that a line begins with, and the words that name it. */
function virtualServer(words: Words): { key: string; service: Omit<IpvsService, "source"> } {
  const kind = words.next() ?? "";
  const service = {
    ip: null,
    port: 0,
    fwmark: null,
    proto: null,
    scheduler: "",
    persistent: null,
    flags: [],
    reals: [],
  };
  if (kind === "-f") {
    const fwmark = words.number("-f", U32);
    const v6 = words.peek() === "-6";
    if (v6) words.next();
    return { key: `-f ${fwmark}${v6 ? " -6" : ""}`, service: { ...service, fwmark, flags: v6 ? ["-6"] : [] } };
  }
  const proto = PROTOCOLS[kind];
  if (proto === undefined) throw words.fail(`expected -t, -u, --sctp-service or -f, found "${kind}"`);
  const address = words.value(kind);
  const to = addressPort(address);
  if (to === null) throw words.fail(`"${address}" is no address and port`);
  return { key: `${kind} ${address}`, service: { ...service, proto, ip: to.ip, port: to.port } };
}

function parseService(words: Words, source: Source): { key: string; service: IpvsService } {
  const { key, service } = virtualServer(words);
  for (let word = words.next(); word !== undefined; word = words.next()) {
    switch (word) {
      case "-s":
        service.scheduler = words.value(word);
        break;
      case "-p":
        service.persistent = words.number(word, U32);
        break;
      case "-M":
      case "--pe":
      case "-b":
        service.flags.push(`${word} ${words.value(word)}`);
        break;
      case "-o":
        service.flags.push(word);
        break;
      default:
        throw words.fail(`unknown option "${word}" of a virtual server`);
    }
  }
  if (service.scheduler === "") throw words.fail("a virtual server without a scheduler");
  return { key, service: { ...service, source } };
}

function parseReal(words: Words, source: Source, services: ReadonlyMap<string, IpvsService>): void {
  const { key } = virtualServer(words);
  const service = services.get(key);
  if (service === undefined) throw words.fail(`a real server of ${key}, which is no virtual server`);
  let to: { ip: Ip; port: number } | null = null;
  let method: IpvsReal["method"] | null = null;
  let weight: number | null = null;
  let tunnelType: string | null = null;
  let tunnelPort: number | null = null;
  for (let word = words.next(); word !== undefined; word = words.next()) {
    switch (word) {
      case "-r":
        to = addressPort(words.value(word));
        break;
      case "-m":
      case "-g":
      case "-i":
        method = METHODS[word]!;
        break;
      case "-w":
        weight = words.number(word, U32);
        break;
      case "--tun-type":
        tunnelType = words.value(word);
        break;
      case "--tun-port":
        tunnelPort = words.number(word, 65535);
        break;
      case "-x":
      case "-y":
        words.number(word, U32);
        break;
      case "--tun-nocsum":
      case "--tun-csum":
      case "--tun-remcsum":
        break;
      default:
        throw words.fail(`unknown option "${word}" of a real server`);
    }
  }
  if (to === null) throw words.fail("a real server without address and port");
  if (method === null) throw words.fail("a real server without -m, -g or -i");
  if (weight === null) throw words.fail("a real server without a weight");
  const tunnel = tunnelType === null ? null : { type: tunnelType, port: tunnelPort };
  service.reals.push({ ip: to.ip, port: to.port, method, weight, tunnel, source });
}

/**
 * Reads what `ipvsadm -S -n` prints; `file` is its path in the snapshot. Services and their real servers keep their order.
 * Throws ParseError when a line is malformed or names a virtual server that was not added.
 */
export function parseIpvs(text: string, file: string): IpvsService[] {
  const services = new Map<string, IpvsService>();
  forEachLine(text, file, (line, number) => {
    const source = { file, line: number };
    const words = new Words(line, source);
    const command = words.next();
    if (command === "-A") {
      const { key, service } = parseService(words, source);
      if (services.has(key)) throw words.fail(`the virtual server ${key} is added twice`);
      services.set(key, service);
    } else if (command === "-a") parseReal(words, source, services);
    else throw words.fail('expected "-A" or "-a"');
  });
  return [...services.values()];
}
