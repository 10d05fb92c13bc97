/** kubewalk.lab-probe/v1 for people: a matrix of who reaches whom, and where the engine foretold otherwise. */
import type { ProbeCell, ProbeReport, ProbeSeen } from "../../../core/model/lab.ts";
import type { Style } from "../style.ts";
import { table } from "../width.ts";

/** Short words for cells. */
const SHORT: Readonly<Record<string, string>> = {
  answered: "ok",
  "network-unreachable": "no-net",
  "host-unreachable": "no-host",
  "not-permitted": "eperm",
};

/** `n1/pod/shop/web-1` as people say it. */
const shortName = (place: string): string =>
  place
    .replace(/^[^/]+\/pod\//, "")
    .replace(/\/host$/, "")
    .replace("/netns/", "/");

const columnKey = ({ target, proto, to, port }: ProbeCell): string =>
  `${shortName(target)} ${to}${port === null ? "" : `:${port}`}/${proto}`;

const seenText = ({ client, server, count }: ProbeSeen): string =>
  client === "answered" && server !== null
    ? `answered by ${shortName(server.at)}, which saw ${server.clientAddress} (${count}×)`
    : `${client} (${count}×)`;

function cellText(cell: ProbeCell, style: Style): string {
  const kinds = [...new Set(cell.seen.map((each) => SHORT[each.client] ?? each.client))].toSorted();
  const text = kinds.join("|");
  const doubt = cell.foretold?.agrees === false ? "!" : cell.foretold?.agrees === null ? "?" : "";
  const good = kinds.every((each) => each === "ok");
  const paint = doubt === "!" ? style.bad : good ? style.good : style.unsure;
  return paint(text + doubt);
}

/** More columns than this do not fit on a screen: then they have numbers, and a list tells whose. */
const WIDEST = 5;

function matrix(cells: readonly ProbeCell[], style: Style): string[] {
  const columns = [...new Set(cells.map(columnKey))];
  const numbered = columns.length > WIDEST;
  const rows = new Map<string, Map<string, ProbeCell>>();
  for (const cell of cells) {
    const row = rows.get(cell.from) ?? new Map<string, ProbeCell>();
    rows.set(cell.from, row);
    row.set(columnKey(cell), cell);
  }
  const head = ["FROM", ...columns.map((name, i) => (numbered ? String(i + 1) : name))];
  const body = [...rows].map(([from, row]) => [
    shortName(from),
    ...columns.map((name) => {
      const cell = row.get(name);
      return cell === undefined ? "-" : cellText(cell, style);
    }),
  ]);
  const legend = numbered ? [...columns.map((name, i) => `${String(i + 1).padStart(3)}  ${name}`), ""] : [];
  return [...legend, ...table([head, ...body])];
}

function toldText(cell: ProbeCell): string {
  const told = cell.foretold?.outcomes.map(({ client, server }) =>
    server === null ? client : `${client} by ${shortName(server.at)}, which sees ${server.clientAddress}`,
  );
  return (told ?? []).join(" or ");
}

/** What was seen of each cell that differs from what the engine foretells. */
function differences(cells: readonly ProbeCell[], agrees: boolean | null): string[] {
  return cells
    .filter((cell) => cell.foretold?.agrees === agrees && cell.foretold !== null)
    .flatMap((cell) => [
      `  ${shortName(cell.from)} → ${columnKey(cell)}`,
      `      seen: ${cell.seen.map(seenText).join("; ")}`,
      `      foretold: ${toldText(cell)}${cell.foretold?.why === null ? "" : `: ${cell.foretold?.why ?? ""}`}`,
    ]);
}

/** The report as lines; `wide` lists what each cell met. */
export function probeLines(report: ProbeReport, wide: boolean, style: Style): string[] {
  const { cells } = report;
  const answered = cells.filter((cell) => cell.seen.every((each) => each.client === "answered")).length;
  const wrong = differences(cells, false);
  const open = differences(cells, null);
  const asked = cells.some((cell) => cell.foretold !== null);
  const agreed = cells.filter((cell) => cell.foretold?.agrees === true).length;
  return [
    ...(wide
      ? cells.map((cell) => `${shortName(cell.from)} → ${columnKey(cell)}: ${cell.seen.map(seenText).join("; ")}`)
      : matrix(cells, style)),
    "",
    `${answered} of ${cells.length} answered${asked ? `; the engine foretells ${agreed} of ${cells.length} as they were seen` : ""}`,
    ...(wrong.length === 0 ? [] : ["", style.bad("not as foretold (!)"), ...wrong]),
    ...(open.length === 0 ? [] : ["", style.unsure("the engine does not know (?)"), ...open]),
  ];
}
