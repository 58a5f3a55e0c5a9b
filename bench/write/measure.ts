import { clusterCpu } from "../cpu.js";
import { drive, p50, p95 } from "../load.js";
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

/**
 * Sends a number of requests to one server while all others rest, so that whatever the cluster's processes use
 * meanwhile is its.
 */
export async function measure(
  { api, rows }: ArmServer,
  mutation: MeasuredMutation,
  maker: RequestMaker,
  requests: number,
  postmaster: number,
): Promise<Sample> {
  const [databaseBefore, apiBefore] = [await clusterCpu(postmaster), await api.cpu()];
  const result = await drive({
    port: api.port,
    requests,
    connections: CONNECTIONS,
    request: () => maker.next(mutation, rows),
  });
  const apiCpu = ((await api.cpu()) - apiBefore) / requests;
  const databaseCpu = ((await clusterCpu(postmaster)) - databaseBefore) / requests;
  return {
    requestsPerSecond: requests / result.seconds,
    p50: p50(result),
    p95: p95(result),
    apiCpu,
    databaseCpu,
    cpu: apiCpu + databaseCpu,
  };
}
