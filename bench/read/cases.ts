import { COMMON, RARE, ABSENT, RARE_FIELDS } from "./values.js";

export type ReaderName = "tenant" | "platform";
export type Filter = Readonly<Record<string, unknown>>;

/** One question that auditors ask. */
export interface ReadCase {
  readonly name: string;
  readonly reader: ReaderName;
  /** Of a log with that many entries: where it says how long, then so that both logs have as many in it. */
  readonly filter: (entries: number) => Filter;
  /** Page 1,000 of 50, or the last whole one where the log isn't as long. */
  readonly deep: boolean;
  /** Whether it is promised to take no more than one and a half times as long on the greater log. */
  readonly promised: boolean;
}

/** The greatest tenant, whose auditor reads, a lesser one that fills a page still, and one that the log doesn't know. */
export const GREATEST = "t001";
const LESSER = "t020";
const UNKNOWN = "t999";

/** The log's months, and the part of its entries that is the greatest tenant's. */
const MONTHS = 4;
const GREATEST_SHARE = 0.17;
const FEW = 20;

const values = { common: COMMON, rare: RARE, absent: ABSENT } as const;
type Kind = keyof typeof values;
const kinds = Object.keys(values) as Kind[];
type Field = (typeof RARE_FIELDS)[number];

const pairs: readonly (readonly [Field, Field])[] = [
  ["resourceType", "action"],
  ["actorId", "resourceType"],
  ["resourceId", "changedField"],
  ["outcome", "operation"],
  ["eventType", "ip"],
];

export function readCases(): ReadCase[] {
  return (["tenant", "platform"] as const).flatMap((reader) => [
    ask(reader, "first page", {}),
    { ...ask(reader, "page 1,000, or the last whole one", {}), deep: true, promised: false },
    ...RARE_FIELDS.flatMap((field) => kinds.flatMap((kind) => one(reader, field, kind))),
    ...spans(reader),
    ...(reader === "platform" ? tenants() : [ask(reader, "tenantId, one's own", { tenantId: [GREATEST] })]),
    ...pairs.flatMap((pair) => both(reader, ...pair)),
  ]);
}

const ask = (reader: ReaderName, name: string, filter: Filter | ReadCase["filter"]): ReadCase => ({
  name,
  reader,
  filter: typeof filter === "function" ? filter : () => filter,
  deep: false,
  promised: true,
});

function one(reader: ReaderName, field: Field, kind: Kind): ReadCase[] {
  const value = values[kind][field];
  return value === null ? [] : [ask(reader, `${field}, ${kind}`, { [field]: [value] })];
}

function both(reader: ReaderName, first: Field, second: Field): ReadCase[] {
  const pair = (one: Kind, other: Kind) => {
    const [left, right] = [values[one][first], values[other][second]];
    if (left === null || right === null) return [];
    return [ask(reader, `${first} ${one} + ${second} ${other}`, { [first]: [left], [second]: [right] })];
  };
  return [
    ...pair("common", "common"),
    ...pair("rare", "common"),
    ...pair("common", "rare"),
    ...pair("common", "absent"),
  ];
}

/** Of time: a month, as long as it takes for a few entries, and a day long ago. */
function spans(reader: ReaderName): ReadCase[] {
  const now = new Date();
  const month = (ahead: number) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead));
  const range = (from: Date, to: Date) => ({ occurredAt: { from: from.toISOString(), to: to.toISOString() } });
  const few = (entries: number) => {
    const pace = (month(MONTHS).getTime() - month(0).getTime()) / entries;
    const [middle, share] = [month(2).getTime(), reader === "tenant" ? GREATEST_SHARE : 1];
    return range(new Date(middle), new Date(middle + (FEW * pace) / share));
  };
  return [
    ask(reader, "occurredAt, a month", range(month(2), month(3))),
    ask(reader, "occurredAt, some twenty entries", few),
    ask(reader, "occurredAt, a day long ago", range(new Date("2001-01-01"), new Date("2001-01-02"))),
  ];
}

const tenants = (): ReadCase[] => [
  ask("platform", "tenantId, the greatest", { tenantId: [GREATEST] }),
  ask("platform", "tenantId, a lesser one", { tenantId: [LESSER] }),
  ask("platform", "tenantId, unknown", { tenantId: [UNKNOWN] }),
];
