import { progress } from "../progress.js";
import type { BenchCluster } from "../cluster.js";
import { ascending, percentile, ratios, shuffled, spread, type Spread } from "../statistics.js";
import { tokenMaker } from "../../scratch/tokens.js";
import { GREATEST, readCases, type ReadCase } from "./cases.js";
import { LogServer } from "./log-server.js";

export interface ReadOptions {
  readonly alternations: number;
  /** How often a page is asked for in each alternation; its count and its rows by plain pg once. */
  readonly repeats: number;
  /** Of the two logs, the lesser first. */
  readonly sizes: readonly [number, number];
}

/** Milliseconds on one of the two logs. */
export interface Timing {
  readonly p50: number;
  readonly p95: number;
  readonly countedP50: number;
  /** Null where the page is empty. */
  readonly plainP50: number | null;
  readonly rows: number;
}

export interface ReadResult {
  readonly case: ReadCase;
  readonly lesser: Timing;
  readonly greater: Timing;
  /** The greater log's time to the lesser one's, one for each alternation. */
  readonly ratio: Spread;
  readonly countedRatio: Spread;
  /** On the greater log, to plain pg's for the same rows; null where the page is empty. */
  readonly toPlain: Spread | null;
  readonly indexes: readonly string[];
  readonly scanned: readonly string[];
}

/** Asks every question of both logs, alternating between them. */
export async function compareReads(cluster: BenchCluster, options: ReadOptions): Promise<ReadResult[]> {
  const token = await tokenMaker(cluster.folder);
  const tokens = {
    tenant: await token("auditor", GREATEST, "AUDITOR"),
    platform: await token("site-auditor", null, "PLATFORM_AUDITOR"),
  };
  const servers: LogServer[] = [];
  try {
    for (const size of options.sizes) {
      progress(`reads: making a log of ${String(size)} entries`);
      servers.push(await LogServer.start(cluster, size, tokens));
    }
    const [lesser, greater] = servers;
    if (!lesser || !greater) throw new Error("Two logs are compared.");
    const cases = readCases();
    const measured: Measured[] = [];
    progress(`reads: ${String(cases.length)} questions, their plans and a first answer`);
    for (const each of cases) measured.push(await Measured.prepare(each, [lesser, greater]));
    for (let round = 1; round <= options.alternations; round++) {
      progress(`reads: alternation ${String(round)} of ${String(options.alternations)}`);
      for (const each of shuffled(measured)) await each.round(options.repeats);
    }
    return measured.map((each) => each.result());
  } finally {
    for (const server of servers) await server.stop();
  }
}

/** A question's times on one log. */
class Side {
  readonly times: number[] = [];
  readonly medians: number[] = [];
  readonly counted: number[] = [];
  readonly plain: number[] = [];

  private constructor(
    private readonly asked: ReadCase,
    readonly server: LogServer,
    private readonly bytes: Buffer,
    private readonly countedBytes: Buffer,
    readonly rows: Awaited<ReturnType<LogServer["page"]>>["nodes"],
  ) {}

  static async prepare(asked: ReadCase, server: LogServer): Promise<Side> {
    const [bytes, countedBytes] = [await server.prepare(asked, false), await server.prepare(asked, true)];
    const { nodes } = await server.page(bytes);
    return new Side(asked, server, bytes, countedBytes, nodes);
  }

  plans() {
    return this.server.plans(this.countedBytes);
  }

  async round(repeats: number): Promise<void> {
    const times: number[] = [];
    for (let sent = 0; sent < repeats; sent++) times.push(await this.server.time(this.bytes));
    this.times.push(...times);
    this.medians.push(spread(times).median);
    this.counted.push(await this.server.time(this.countedBytes));
    if (this.rows.length > 0) this.plain.push(await this.server.timePlain(this.asked.reader, this.rows));
  }

  timing(): Timing {
    const sorted = ascending(this.times);
    return {
      p50: percentile(sorted, 50),
      p95: percentile(sorted, 95),
      countedP50: spread(this.counted).median,
      plainP50: this.plain.length > 0 ? spread(this.plain).median : null,
      rows: this.rows.length,
    };
  }
}

class Measured {
  private constructor(
    private readonly asked: ReadCase,
    private readonly lesser: Side,
    private readonly greater: Side,
    private readonly indexes: readonly string[],
    private readonly scanned: readonly string[],
  ) {}

  static async prepare(asked: ReadCase, [lesser, greater]: readonly [LogServer, LogServer]): Promise<Measured> {
    const sides = [await Side.prepare(asked, lesser), await Side.prepare(asked, greater)] as const;
    const plans = [await sides[0].plans(), await sides[1].plans()] as const;
    const scanned = [...new Set(plans.flatMap((plan) => plan.scanned))];
    return new Measured(asked, ...sides, plans[1].indexes, scanned);
  }

  async round(repeats: number): Promise<void> {
    for (const side of shuffled([this.lesser, this.greater])) await side.round(repeats);
  }

  result(): ReadResult {
    const { asked, lesser, greater, indexes, scanned } = this;
    return {
      case: asked,
      lesser: lesser.timing(),
      greater: greater.timing(),
      ratio: ratios(greater.medians, lesser.medians),
      countedRatio: ratios(greater.counted, lesser.counted),
      toPlain: greater.plain.length > 0 ? ratios(greater.medians, greater.plain) : null,
      indexes,
      scanned,
    };
  }
}
