import { clusterCpu } from "../cpu.js";
import { drive } from "../load.js";
import { ascending, percentile } from "../statistics.js";
import type { ArmServer } from "./arms.js";
import type { MeasuredMutation, RequestMaker } from "./mutations.js";

/** What one stretch of requests came to; times are for one request. */
export interface Sample {
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  /** Microseconds on a CPU. */
  readonly apiCpu: number;
  readonly databaseCpu: number;
  readonly cpu: number;
}

export const CONNECTIONS = 8;

/** One server's part of one alternation: it is made of several stretches, so that all servers meet the same weather. */
export class Stretches {
  #requests = 0;
  #seconds = 0;
  #apiCpu = 0;
  #databaseCpu = 0;
  readonly #latencies: number[] = [];

  constructor(
    private readonly server: ArmServer,
    private readonly mutation: MeasuredMutation,
    private readonly maker: RequestMaker,
    private readonly postmaster: number,
  ) {}

  /** Sends requests while all other servers rest, so that whatever the cluster's processes use meanwhile is for them. */
  async add(requests: number): Promise<void> {
    const { api, rows } = this.server;
    const [databaseBefore, apiBefore] = [await clusterCpu(this.postmaster), await api.cpu()];
    const request = () => this.maker.next(this.mutation, rows);
    const { seconds, latencies } = await drive({ port: api.port, requests, connections: CONNECTIONS, request });
    this.#apiCpu += (await api.cpu()) - apiBefore;
    this.#databaseCpu += (await clusterCpu(this.postmaster)) - databaseBefore;
    this.#requests += requests;
    this.#seconds += seconds;
    this.#latencies.push(...latencies);
  }

  sample(): Sample {
    const sorted = ascending(this.#latencies);
    const [apiCpu, databaseCpu] = [this.#apiCpu / this.#requests, this.#databaseCpu / this.#requests];
    return {
      requestsPerSecond: this.#requests / this.#seconds,
      p50: percentile(sorted, 50),
      p95: percentile(sorted, 95),
      apiCpu,
      databaseCpu,
      cpu: apiCpu + databaseCpu,
    };
  }
}
