/** A question of a batch: JSON → what it asks. Checked by hand, because a batch may hold very many. */
import { isObject, shown, type JsonObject, type JsonValue } from "../core/parse/json-lines.ts";
import type { Proto } from "../core/model/walk.ts";
import { UsageError } from "./exit.ts";

/** A question before its names are resolved. */
export interface RawQuestion {
  from: string;
  to: string;
  proto?: Proto;
  port?: number;
  sourcePort?: number;
  mark?: number;
  ttl?: number;
  size?: number;
  tcpFlags?: string;
  /** Properties that mean nothing here. */
  unknown: string[];
}

const PROTOS: readonly Proto[] = ["tcp", "udp", "icmp", "sctp"];

/** Whole numbers that a question may hold, with their bounds. */
const NUMBERS = {
  port: [1, 65_535],
  sourcePort: [1, 65_535],
  mark: [0, 0xffff_ffff],
  ttl: [1, 255],
  size: [1, 65_535],
} as const;

function text(o: JsonObject, name: string): string {
  const value = o[name];
  if (value === undefined) throw new UsageError(`a question needs "${name}"`);
  if (typeof value !== "string" || value === "") throw new UsageError(`"${name}" must be text, found ${shown(value)}`);
  return value;
}

/** Takes a question apart. Throws UsageError that says which property is wrong and what it must be. Null counts as absent. */
export function readQuestion(value: JsonValue): RawQuestion {
  if (!isObject(value))
    throw new UsageError(`a question is an object with "from", "proto", "to" and "port", found ${shown(value)}`);
  const out: RawQuestion = { from: text(value, "from"), to: text(value, "to"), unknown: [] };
  for (const [name, given] of Object.entries(value)) {
    if (given === null || name === "from" || name === "to") continue;
    if (name === "proto") {
      const proto = PROTOS.find((p) => p === given);
      if (proto === undefined)
        throw new UsageError(`"proto" must be one of ${PROTOS.join(", ")}, found ${shown(given)}`);
      out.proto = proto;
    } else if (name === "tcpFlags") {
      if (typeof given !== "string") throw new UsageError(`"tcpFlags" must be text, found ${shown(given)}`);
      out.tcpFlags = given;
    } else if (Object.hasOwn(NUMBERS, name)) {
      const key = name as keyof typeof NUMBERS;
      const [least, most] = NUMBERS[key];
      if (typeof given !== "number" || !Number.isInteger(given) || given < least || given > most) {
        // ICMP has no port; programs that always write one write 0.
        if (key === "port" && given === 0) continue;
        throw new UsageError(`"${name}" must be a whole number from ${least} to ${most}, found ${shown(given)}`);
      }
      out[key] = given;
    } else out.unknown.push(name);
  }
  if (out.proto === "icmp") delete out.port;
  return out;
}
