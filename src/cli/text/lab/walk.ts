/** kubewalk.lab-walk/v1 for people: each rule that was met, and where the two accounts part. */
import type { LabWalk, MetRule } from "../../../core/model/lab.ts";
import { plural } from "../plural.ts";
import type { Style } from "../style.ts";

const serverText = (server: LabWalk["seen"]["server"]): string =>
  server === null ? "" : ` by ${server.at}, which saw ${server.clientAddress}`;

function ruleLines(mark: string, { text, rule }: MetRule, style: Style): string[] {
  return [`  ${mark} ${text}`, ...(rule === "" ? [] : [`      ${style.quiet(rule)}`])];
}

/** Two lists that should be one: equal pieces once, then what each has where they part. */
function sideBySide({ kernel, engine, same: whole }: LabWalk["places"][number], style: Style): string[] {
  const rules = new Map(engine.map((each) => [each.text, each.rule]));
  const out: string[] = [];
  let direction = "";
  let parted = false;
  for (let i = 0; i < Math.max(kernel.length, engine.length); i++) {
    const [there, told] = [kernel[i], engine[i]];
    const either = there ?? told;
    if (either !== undefined && either.direction !== direction) {
      direction = either.direction;
      out.push(`  ${style.quiet(direction === "reply" ? "the answer" : "the packet")}`);
    }
    if (whole) {
      if (there !== undefined)
        out.push(...ruleLines("=", { ...there, rule: rules.get(there.text) ?? there.rule }, style));
      continue;
    }
    const same =
      there !== undefined && told !== undefined && there.text === told.text && there.direction === told.direction;
    if (same && !parted) {
      out.push(...ruleLines("=", { ...there, rule: told.rule }, style));
      continue;
    }
    parted = true;
    if (there !== undefined) out.push(...ruleLines(style.bad("kernel"), there, style));
    if (told !== undefined) out.push(...ruleLines(style.bad("engine"), told, style));
  }
  return out;
}

/** The comparison as lines. */
export function labWalkLines(walk: LabWalk, style: Style): string[] {
  const { from, to, port, proto, seen, agrees, places } = walk;
  const told = walk.foretold.map(({ client, server }) => `${client}${serverText(server)}`);
  const rules = places.reduce((sum, each) => sum + each.kernel.length, 0);
  return [
    `${from} → ${to}${port === null ? "" : `:${port}`}/${proto}`,
    `seen:     ${seen.client}${serverText(seen.server)}`,
    `foretold: ${told.join(" or ")}`,
    ...places.flatMap((each) => ["", style.strong(each.at), ...sideBySide(each, style)]),
    "",
    agrees
      ? style.good(
          `the kernel did what the engine foretells: ${plural(rules, "rule")} in ${plural(places.length, "namespace")}`,
        )
      : style.bad("the kernel did not do what the engine foretells"),
  ];
}
