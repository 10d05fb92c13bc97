/** Kinds of kubewalk's own, for what no Kubernetes object describes: machines, and networks outside of clusters. */
import { ParseError } from "../../model/source.ts";
import { isRecord, type Fields } from "./plain.ts";
import { errorOf, titleOf, type FieldPath, type WrittenObject } from "./objects.ts";

export const OWN_API = "kubewalk/v1";

/** Every kind, and what it describes. */
export const OWN_KINDS: Readonly<Record<string, string>> = {
  Machine: "devices, routes, files and command lines of a node or of a router between nodes",
  DockerHost: "a machine with Docker: its bridge and containers",
  VirtualIP: "a floating address before the API servers: keepalived, HAProxy",
  HostRouter: "a host that speaks BGP to its top-of-rack switches",
};

export const isOwn = ({ apiVersion }: Pick<WrittenObject, "apiVersion">): boolean => apiVersion === OWN_API;

/** Objects of one of these kinds, in the order in which they were written. Throws ParseError for one that there is not. */
export function ownObjects(objects: readonly WrittenObject[], kind: keyof typeof OWN_KINDS): WrittenObject[] {
  for (const each of objects)
    if (isOwn(each) && !Object.hasOwn(OWN_KINDS, each.kind))
      throw errorOf(each, `${OWN_API} has no such kind; it has ${Object.keys(OWN_KINDS).join(", ")}`);
  return objects.filter((each) => isOwn(each) && each.kind === kind);
}

/** Reads fields of an object, each of one type. Its methods throw ParseError with the field's line for what does not fit. */
export class FieldReader {
  readonly #object: WrittenObject;
  readonly #path: FieldPath;
  readonly #fields: Fields;

  constructor(object: WrittenObject, path: FieldPath, fields: Fields) {
    this.#object = object;
    this.#path = path;
    this.#fields = fields;
  }

  /** An error about a field; about the whole with "". */
  error(name: string, message: string): ParseError {
    const path = name === "" ? this.#path : [...this.#path, name];
    const { file } = this.#object;
    const what = path.length === 0 ? "" : `${path.join(".")} `;
    return new ParseError({ file, line: this.#object.lineOf(path) }, `${titleOf(this.#object)}: ${what}${message}`);
  }

  #typed<T>(name: string, type: string, is: (value: unknown) => value is T): T | null {
    const value = this.#fields[name];
    if (value === undefined || value === null) return null;
    if (!is(value)) throw this.error(name, `should be ${type}, not ${JSON.stringify(value)}`);
    return value;
  }

  /** Throws for fields besides these: a word that nobody reads is a mistake. */
  only(...names: string[]): this {
    for (const name of Object.keys(this.#fields))
      if (!names.includes(name)) throw this.error(name, `is not known here; there are ${names.join(", ")}`);
    return this;
  }

  text(name: string): string | null {
    return this.#typed(name, "a text", (value) => typeof value === "string");
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === null || value === "") throw this.error(name, "is missing");
    return value;
  }

  /** A value that `read` understands; it returns null for one that it does not. `what` says what it should be. */
  parsed<T>(name: string, what: string, read: (text: string) => T | null): T | null {
    const text = this.text(name);
    if (text === null) return null;
    const value = read(text);
    if (value === null) throw this.error(name, `should be ${what}, not ${text}`);
    return value;
  }

  flag(name: string): boolean | null {
    return this.#typed(name, "true or false", (value) => typeof value === "boolean");
  }

  integer(name: string): number | null {
    return this.#typed(name, "a whole number", (value): value is number => Number.isInteger(value));
  }

  port(name: string): number | null {
    const value = this.integer(name);
    if (value !== null && (value < 1 || value > 65535)) throw this.error(name, `should be a port, not ${value}`);
    return value;
  }

  texts(name: string): string[] {
    const isTexts = (value: unknown): value is string[] =>
      Array.isArray(value) && value.every((each) => typeof each === "string");
    return this.#typed(name, "a list of texts", isTexts) ?? [];
  }

  /** The items of a list as they stand. */
  items(name: string): unknown[] {
    return this.#typed(name, "a list", (value): value is unknown[] => Array.isArray(value)) ?? [];
  }

  /** The object that is an item of a list. */
  item(name: string, i: number): FieldReader {
    const value = this.items(name)[i];
    const reader = new FieldReader(this.#object, [...this.#path, name, i], isRecord(value) ? value : {});
    if (!isRecord(value)) throw reader.error("", "should be an object");
    return reader;
  }

  /** The objects of a list. */
  each(name: string): FieldReader[] {
    return this.items(name).map((_, i) => this.item(name, i));
  }

  /** An object, empty when it is not there. */
  object(name: string): FieldReader {
    const value = this.#typed(name, "an object", isRecord) ?? {};
    return new FieldReader(this.#object, [...this.#path, name], value);
  }

  /** Texts by name. */
  map(name: string): Map<string, string> {
    const value = this.#typed(name, "an object", isRecord) ?? {};
    const reader = new FieldReader(this.#object, [...this.#path, name], value);
    return new Map(Object.keys(value).map((key) => [key, reader.text(key) ?? ""]));
  }
}

/** Reader of an object's spec. */
export function specOf(object: WrittenObject): FieldReader {
  return new FieldReader(object, [], object.value).object("spec");
}
