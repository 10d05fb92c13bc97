/** Any JSON value. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

/** A JSON object; a field that is not there reads as undefined. */
export interface JsonObject {
  [key: string]: JsonValue;
}
