import { deploy } from "../../scratch/deployment.js";
import { Api } from "../../scratch/api.js";
import { tokenMaker } from "../../scratch/tokens.js";
import { uuidV7 } from "../../src/reporter/uuid-v7.js";
import { rowsOf, run, type BenchCluster } from "../cluster.js";
import { clusterCpu, processCpu } from "../cpu.js";
import { drive, graphqlRequest } from "../load.js";
import { progress } from "../progress.js";
import { measureReport } from "./report-call.js";

export interface ReportOptions {
  readonly alternations: number;
  /** How many calls an alternation has, of a thousand entries each. */
  readonly calls: number;
}

/** What one stretch came to; times are microseconds for one entry. */
export interface ReportSample {
  readonly entriesPerSecond: number;
  readonly apiCpu: number;
  readonly databaseCpu: number;
}

export interface ReportResult {
  /** Through one API process, by `reportAuditEntries`. */
  readonly reported: readonly ReportSample[];
  /** The same rows by COPY from a file of the server's. */
  readonly copied: readonly ReportSample[];
  /** Microseconds that one `report()` takes of the process that calls it: one for each alternation, each a median. */
  readonly report: readonly number[];
}

const ENTRIES = 1_000;
/** As many sessions report at once. */
const CONNECTIONS = 4;
const WARM_UP = 30;

/** Measures how fast reported entries get into the log, against COPY of the same rows into the same table. */
export async function compareReports(cluster: BenchCluster, options: ReportOptions): Promise<ReportResult> {
  const { database, settings } = await deploy(cluster, "reported");
  const api = await Api.start(settings);
  try {
    const token = await (await tokenMaker(cluster.folder))("gateway", "north", "REPORTER");
    const reporter = new CallMaker(token);
    const stretch = { api, postmaster: cluster.postmaster };
    const send = (calls: number) =>
      drive({
        port: Number(new URL(api.origin).port),
        requests: calls,
        connections: CONNECTIONS,
        request: () => reporter.next(),
      });
    progress("reports: warming up");
    await send(WARM_UP);
    const file = await writeRows(database.adminUrl, options.calls * ENTRIES, () => send(options.calls));
    const [reported, copied, report]: [ReportSample[], ReportSample[], number[]] = [[], [], []];
    for (let round = 1; round <= options.alternations; round++) {
      progress(`reports: alternation ${String(round)} of ${String(options.alternations)}`);
      const entries = options.calls * ENTRIES;
      const ways = [
        async () => reported.push(await sampleOf(stretch, entries, () => send(options.calls))),
        async () => copied.push(await sampleOf(stretch, entries, () => copyRows(database.adminUrl, file))),
      ];
      for (const way of round % 2 === 0 ? ways : ways.reverse()) await way();
      report.push(await measureReport());
    }
    return { reported, copied, report };
  } finally {
    await api.stop();
  }
}

interface StretchGround {
  readonly api: Api;
  readonly postmaster: number;
}

async function sampleOf(
  { api, postmaster }: StretchGround,
  entries: number,
  work: () => Promise<unknown>,
): Promise<ReportSample> {
  const before = { api: await processCpu(api.pid), database: await clusterCpu(postmaster), at: performance.now() };
  await work();
  const seconds = (performance.now() - before.at) / 1_000;
  return {
    entriesPerSecond: entries / seconds,
    apiCpu: ((await processCpu(api.pid)) - before.api) / entries,
    databaseCpu: ((await clusterCpu(postmaster)) - before.database) / entries,
  };
}

/** What the API states of an entry: the rest is stamped, also for COPY. */
const stated = `
  tenant_id, format_version, actor_type, actor_id, actor_name, issuer, token_id, action, event_type, outcome, error_code,
  resource_type, resource_id, resource_label, changes, attempted, operation, session_id, sequence_number, ordinal, ip,
  user_agent, claimed_at, reported_by, salts`;

/** Has the API write entries, and puts their rows into a file of the server's. @returns its path */
async function writeRows(adminUrl: string, count: number, write: () => Promise<unknown>): Promise<string> {
  await write();
  const [row] = await rowsOf<{ file: string }>(
    adminUrl,
    "select current_setting('data_directory') || '/reported-rows' as file",
  );
  const file = row?.file ?? "";
  await run(
    adminUrl,
    `copy (select ${stated} from audit.entry where reported_by is not null and sequence_number is not null
       order by id desc limit ${String(count)}) to '${file}'`,
  );
  return file;
}

const copyRows = (adminUrl: string, file: string): Promise<unknown> =>
  run(adminUrl, `copy audit.entry (${stated}) from '${file}'`);

/** Calls of a gateway's: what it let through, and what it refused. */
class CallMaker {
  readonly #sessions = Array.from({ length: CONNECTIONS }, () => ({ id: uuidV7(), next: 0 }));
  #calls = 0;

  constructor(private readonly token: string) {}

  next(): Buffer {
    const session = this.#sessions[this.#calls++ % CONNECTIONS] ?? { id: "", next: 0 };
    const claimedAt = new Date().toISOString();
    const entries = Array.from({ length: ENTRIES }, () => entryOf(session.next++, claimedAt));
    const source = { program: "benched-gateway", version: "1.0.0", host: "localhost" };
    return graphqlRequest(this.token, mutation, {
      input: { sessionId: session.id, source, entries, taken: String(session.next) },
    });
  }
}

const mutation = `mutation ReportAuditEntries($input: ReportAuditEntriesInput!) {
  reportAuditEntries(input: $input) { sessionId accepted repeated refused { index sequenceNumber code message } }
}`;

const entryOf = (number: number, claimedAt: string) => ({
  sequenceNumber: String(number),
  claimedAt,
  resourceType: "http_request",
  action: "REQUEST",
  outcome: number % 10 === 0 ? "DENIED" : "SUCCESS",
  fields: {
    method: "GET",
    url: `https://host-${String(number % 97)}.example.com/things/${String(number)}?page=2`,
    rule: number % 10 === 0 ? "deny-rest" : "allow-example",
  },
});
