import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ReporterOptions } from "../../src/reporter/index.js";
import { startReportApi, type ReportApi } from "../support/report-api.js";
import { startReporting, type ReportingChild } from "../support/start-reporting.js";
import {
  startTlsEndpoint,
  trusting,
  trustingAnybody,
  type CertificateName,
  type TlsEndpoint,
} from "../support/tls-endpoint.js";
import { until } from "../support/until.js";

let api: ReportApi;
let endpoint: TlsEndpoint | null;
let child: ReportingChild;
beforeEach(async () => {
  api = await startReportApi();
  endpoint = null;
});
afterEach(async () => {
  child.process.kill("SIGKILL");
  await child.ended;
  await endpoint?.close();
  await api.close();
});

const token = "canary-in-the-token";
const optionsFor = (url: string, more: Partial<ReporterOptions> = {}): ReporterOptions => ({
  url,
  token,
  source: { program: "gateway", version: "1" },
  callTimeout: 5_000,
  ...more,
});
const range = (count: number): string[] => Array.from({ length: count }, (_, at) => String(at));

/** Entries wait behind a call that came to nothing, and then the process gives up. */
async function giveUp(url: string, env: NodeJS.ProcessEnv): Promise<{ readonly lastFailure: string }> {
  child = startReporting({ options: optionsFor(url), count: 3, then: "give-up" }, env);
  expect(await child.ended).toEqual({ code: 0, signal: null });
  const [result = "", ...more] = child.said.slice(1);
  expect([child.said[0], more]).toEqual(["done", []]);
  const { lastFailure, ...became } = JSON.parse(result) as { lastFailure: string };
  expect(became).toEqual({ sent: 0, setAside: 0, lost: 3, kept: 0, isClosed: false });
  expect(child.stderr).toContain(`delayed: Entries for the audit log wait, and are sent again: ${lastFailure}.\n`);
  expect(child.stderr).not.toContain(token);
  expect(child.stderr).not.toContain("example.com");
  return { lastFailure };
}

describe("a reporter over HTTPS", () => {
  it("sends every entry as it is, all on one connection", async () => {
    endpoint = await startTlsEndpoint("server", api.url);
    child = startReporting({ options: optionsFor(endpoint.url, { maxBatchSize: 5 }), count: 20 }, trusting);
    expect(await child.ended).toEqual({ code: 0, signal: null });
    const { entries, isClosed } = api.session();
    expect([...entries.keys()]).toEqual(range(20));
    expect([...entries.values()].map(({ fields }) => fields)).toEqual(
      range(20).map((place) => ({ method: "GET", url: `https://example.com/${place}` })),
    );
    expect(isClosed).toBe(true);
    expect(new Set(api.headers.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${token}`]));
    // The opening one, five at a time, and the end.
    expect(api.calls.length).toBeGreaterThanOrEqual(5);
    expect([endpoint.connections(), endpoint.handshakes()]).toEqual([1, 1]);
    expect(child.stderr).toBe("");
  });

  it.each<[what: string, certificate: CertificateName, env: NodeJS.ProcessEnv, code: string]>([
    ["an authority that it doesn't know", "server", {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["another host", "other-host", trusting, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["another time", "expired", trusting, "CERT_HAS_EXPIRED"],
    [
      "an authority that its process would trust without knowing it",
      "server",
      trustingAnybody,
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
  ])("sends nothing to a server whose certificate is of %s, and says so", async (_, certificate, env, code) => {
    endpoint = await startTlsEndpoint(certificate, api.url);
    const { lastFailure } = await giveUp(endpoint.url, env);
    expect(lastFailure).toBe(`the call failed with ${code}`);
    expect(endpoint.connections()).toBeGreaterThanOrEqual(1);
    expect([endpoint.octets(), api.calls]).toEqual([0, []]);
  });

  it("sends nothing to a server without TLS, and says so", async () => {
    const { lastFailure } = await giveUp(api.url.replace("http:", "https:"), trusting);
    // Newer versions of Node have a code for each fault of TLS.
    expect(lastFailure).toMatch(/^the call failed with (EPROTO|ERR_SSL_\w+)$/);
    expect(api.calls).toEqual([]);
  });

  it("sends what waited once the certificate is the right one", async () => {
    endpoint = await startTlsEndpoint("expired", api.url);
    child = startReporting({ options: optionsFor(endpoint.url), count: 13, then: "wait" }, trusting);
    await until(() => child.stderr.includes("CERT_HAS_EXPIRED"), { what: "a call has failed", deadline: 10_000 });
    endpoint.show("server");
    await until(() => api.sessions.size === 1 && api.session().entries.size === 13, {
      what: "all came",
      deadline: 10_000,
    });
    await until(() => child.stderr.includes("recovered: "), { what: "it says so" });
    expect([...api.session().entries.keys()]).toEqual(range(13));
    expect(api.session().repeated).toBe(0);
  });
});
