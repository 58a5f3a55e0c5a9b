import { progress } from "../progress.js";
import { rowsOf, type BenchCluster } from "../cluster.js";
import { ask } from "../load.js";
import { arms, type Arm } from "../api/settings.js";
import { shuffled } from "../statistics.js";
import { tokenMaker } from "../../scratch/tokens.js";
import { fillLog, startArm, TENANTS, type ArmServer } from "./arms.js";
import { Stretches, type Sample } from "./measure.js";
import { mutations, RequestMaker, type MeasuredMutation } from "./mutations.js";

export interface WriteOptions {
  readonly alternations: number;
  /** How many stretches an alternation has of each mutation on each server, and how many requests each of those. */
  readonly stretches: number;
  readonly requests: number;
  readonly warmUp: number;
  /** How many entries a full log has. */
  readonly entries: number;
}

export interface ArmResult {
  /** One for each alternation, in their order. */
  readonly samples: readonly Sample[];
  /** Statements to the database for one request, BEGIN and COMMIT among them. */
  readonly statements: number;
  /** Octets of write-ahead log for one request. */
  readonly wal: number;
}

export interface MutationResult {
  readonly mutation: string;
  readonly arms: Readonly<Record<Arm, ArmResult>>;
}

/** Measures every mutation on every arm, alternating between the arms, in an order of chance each time. */
export async function compareWrites(cluster: BenchCluster, options: WriteOptions): Promise<MutationResult[]> {
  const token = await tokenMaker(cluster.folder);
  const tokens = new Map<string, string>();
  for (const tenant of TENANTS) tokens.set(tenant, await token("admin", tenant, "ADMIN"));
  const maker = new RequestMaker(tokens);
  const servers: ArmServer[] = [];
  try {
    progress("writes: filling a log");
    await fillLog(cluster, options.entries);
    for (const arm of arms) {
      progress(`writes: starting ${arm}`);
      servers.push(await startArm(cluster, arm));
    }
    await warmUp(servers, maker, options.warmUp, cluster);
    const samples = await alternate(servers, maker, options, cluster);
    const results: MutationResult[] = [];
    // One after the other: what they write is told apart by time alone.
    for (const mutation of mutations)
      results.push({ mutation: mutation.name, arms: await resultsOf(servers, mutation, maker, samples, cluster) });
    return results;
  } finally {
    await Promise.all(servers.map(({ api }) => api.stop()));
  }
}

async function warmUp(servers: readonly ArmServer[], maker: RequestMaker, requests: number, cluster: BenchCluster) {
  for (const server of servers)
    for (const mutation of mutations) {
      progress(`writes: warming up ${server.arm}, ${mutation.name}`);
      await new Stretches(server, mutation, maker, cluster.postmaster).add(requests);
    }
}

type Samples = ReadonlyMap<string, Sample[]>;
const keyOf = ({ name }: MeasuredMutation, arm: Arm): string => `${name} ${arm}`;

async function alternate(
  servers: readonly ArmServer[],
  maker: RequestMaker,
  { alternations, stretches, requests }: WriteOptions,
  { postmaster }: BenchCluster,
): Promise<Samples> {
  const samples = new Map<string, Sample[]>();
  for (let round = 1; round <= alternations; round++) {
    progress(`writes: alternation ${String(round)} of ${String(alternations)}`);
    for (const mutation of mutations) {
      const parts = servers.map((server) => ({
        key: keyOf(mutation, server.arm),
        part: new Stretches(server, mutation, maker, postmaster),
      }));
      for (let stretch = 0; stretch < stretches; stretch++)
        for (const { part } of shuffled(parts)) await part.add(requests);
      for (const { key, part } of parts) samples.set(key, [...(samples.get(key) ?? []), part.sample()]);
    }
  }
  return samples;
}

async function resultsOf(
  servers: readonly ArmServer[],
  mutation: MeasuredMutation,
  maker: RequestMaker,
  samples: Samples,
  cluster: BenchCluster,
): Promise<Record<Arm, ArmResult>> {
  const results: Partial<Record<Arm, ArmResult>> = {};
  for (const { arm, api, rows } of servers)
    results[arm] = {
      samples: samples.get(keyOf(mutation, arm)) ?? [],
      statements: (await api.statementsOf(() => ask(api.port, maker.next(mutation, rows)))).length,
      wal: await walOf(cluster, () => ask(api.port, maker.next(mutation, rows))),
    };
  return results as Record<Arm, ArmResult>;
}

const WAL_REQUESTS = 50;

async function walOf({ adminUrl }: BenchCluster, send: () => Promise<unknown>): Promise<number> {
  const place = async () => {
    const [row] = await rowsOf<{ place: string }>(adminUrl, "select pg_current_wal_insert_lsn() - '0/0' as place");
    return Number(row?.place);
  };
  const before = await place();
  for (let sent = 0; sent < WAL_REQUESTS; sent++) await send();
  return ((await place()) - before) / WAL_REQUESTS;
}
