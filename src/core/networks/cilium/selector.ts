/** Label selectors of Kubernetes (apimachinery labels), against labels of an identity. */
import { listAt, mapAt, textAt, textsAt } from "../dns/plain.ts";

/** Gives the value of a label; undefined when it is not there. */
export type Labels = (key: string) => string | undefined;

/** Whether a LabelSelector selects something with these labels. An empty selector selects everything. */
export function selectorMatches(selector: unknown, labels: Labels): boolean {
  for (const [key, value] of mapAt(selector, "matchLabels")) if (labels(key) !== value) return false;
  return listAt(selector, "matchExpressions").every((each) => {
    const value = labels(textAt(each, "key") ?? "");
    const values = textsAt(each, "values");
    switch (textAt(each, "operator")) {
      case "In":
        return value !== undefined && values.includes(value);
      case "NotIn":
        return value === undefined || !values.includes(value);
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return false;
    }
  });
}
