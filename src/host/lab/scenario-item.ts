/** One object of a scenario, whose fields are read with their types checked and errors that name the line. */
import { parseIp, parsePrefix } from "../../core/model/address.ts";
import type { ParseError } from "../../core/model/source.ts";
import type { FieldPath, WrittenObject } from "../../core/networks/render/objects.ts";
import { FieldReader } from "../../core/networks/render/own-kinds.ts";
import { isRecord } from "../../core/networks/render/plain.ts";

/** Names of labs, nodes and pods: a label of DNS (RFC 1123), 63 characters at most. */
export const isLabel = (text: string): boolean => /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(text);

/** The name, checked. Throws ParseError. */
export function named(item: Item, name: string): string {
  if (!isLabel(name)) throw item.error("name", `should be lower-case letters, digits and dashes, not ${name}`);
  return name;
}

export class Item {
  readonly #reader: FieldReader;
  readonly #value: unknown;
  readonly #object: WrittenObject;
  readonly #path: FieldPath;

  constructor(reader: FieldReader, value: unknown, object: WrittenObject, path: FieldPath) {
    this.#reader = reader;
    this.#value = value;
    this.#object = object;
    this.#path = path;
  }

  get #fields(): Record<string, unknown> {
    return isRecord(this.#value) ? this.#value : {};
  }

  error(field: string, message: string): ParseError {
    return this.#reader.error(field, message);
  }

  /** File and line of a field, or of the whole. */
  where(field = ""): { file: string; line: number } {
    const path = field === "" ? this.#path : [...this.#path, field];
    return { file: this.#object.file, line: this.#object.lineOf(path) };
  }

  only(...names: string[]): this {
    this.#reader.only(...names);
    return this;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  isText(): boolean {
    return typeof this.#value === "string" || typeof this.#value === "number";
  }

  asText(): string {
    return String(this.#value);
  }

  isNumber(name: string): boolean {
    return typeof this.#fields[name] === "number";
  }

  isTextOf(name: string): boolean {
    return typeof this.#fields[name] === "string";
  }

  text(name: string): string | null {
    return this.#reader.text(name);
  }

  required(name: string): string {
    return this.#reader.required(name);
  }

  flag(name: string): boolean | null {
    return this.#reader.flag(name);
  }

  whole(name: string, least: number, most: number): number | null {
    const value = this.#reader.integer(name);
    if (value !== null && (value < least || value > most))
      throw this.error(name, `should be from ${least} to ${most}, not ${value}`);
    return value;
  }

  /** One of these words; null when it is not there. */
  oneOf<T extends string>(name: string, known: readonly T[]): T | null {
    const text = this.text(name);
    if (text === null) return null;
    const found = known.find((each) => each === text);
    if (found === undefined) throw this.error(name, `should be one of ${known.join(", ")}, not ${text}`);
    return found;
  }

  /** Texts of a list, or one alone. */
  textsOrOne(name: string): string[] {
    return this.isTextOf(name) ? [this.#reader.required(name)] : this.#reader.texts(name);
  }

  numbers(name: string): number[] {
    return this.#reader.items(name).map((each) => {
      if (typeof each !== "number") throw this.error(name, "should be a list of numbers");
      return each;
    });
  }

  addresses(name: string): string[] {
    const all = this.textsOrOne(name);
    const wrong = all.find((each) => parseIp(each) === null);
    if (wrong !== undefined) throw this.error(name, `should be addresses, not ${wrong}`);
    return all;
  }

  /** Networks or addresses with their lengths. */
  networks(name: string): string[] {
    const all = this.textsOrOne(name);
    const wrong = all.find((each) => !each.includes("/") || parsePrefix(each) === null);
    if (wrong !== undefined)
      throw this.error(name, `should be networks with lengths such as 10.1.0.0/24, not ${wrong}`);
    return all;
  }

  /** Texts by name; numbers and flags are taken as texts. */
  texts(name: string): Record<string, string> {
    const out: Record<string, string> = {};
    for (const [key, value] of Object.entries(this.record(name))) {
      if (typeof value === "object") throw this.error(name, `should hold texts, and ${key} is none`);
      out[key] = String(value);
    }
    return out;
  }

  /** An object as it stands; empty when it is not there. */
  record(name: string): Record<string, unknown> {
    const value = this.#fields[name];
    if (value === undefined || value === null) return {};
    if (!isRecord(value)) throw this.error(name, `should be an object, not ${JSON.stringify(value)}`);
    return value;
  }

  /** All fields but these, as they stand. */
  rest(...names: string[]): Record<string, unknown> {
    if (!isRecord(this.#value)) throw this.error("", "should be an object");
    return Object.fromEntries(Object.entries(this.#value).filter(([name]) => !names.includes(name)));
  }

  /** An object below this one. */
  child(name: string): Item {
    return new Item(this.#reader.object(name), this.record(name), this.#object, [...this.#path, name]);
  }

  /** The items of a list, each a text or an object. */
  items(name: string): Item[] {
    return this.#reader.items(name).map((value, i) => {
      const path = [...this.#path, name, i];
      const reader = new FieldReader(this.#object, path, isRecord(value) ? value : {});
      if (!isRecord(value) && typeof value !== "string" && typeof value !== "number")
        throw reader.error("", "should be an object or a text");
      return new Item(reader, value, this.#object, path);
    });
  }
}
