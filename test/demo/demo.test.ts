import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startServer, type TestServer } from "../support/server.js";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const demo = (env: Readonly<Record<string, string>>, ...args: string[]) =>
  new Promise<Ended>((done) => {
    const options = { env: { PATH: process.env["PATH"], ...env }, timeout: 30_000 };
    const child = execFile(process.execPath, ["dist/demo/main.js", ...args], options, (_, stdout, stderr) => {
      done({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });

describe("the demo", () => {
  let server: TestServer;
  let env: Record<string, string>;

  beforeAll(async () => {
    const tokens = { JWT_ISSUER: undefined, JWT_AUDIENCE: undefined, JWT_PUBLIC_KEY_FILE: undefined };
    server = await startServer({ env: { NODE_ENV: "development", ...tokens } });
    env = { DATA_DIR: server.dataDir, PORT: new URL(server.origin).port };
  });
  afterAll(() => server.stop());

  it("asks the server that HOST and PORT name, fits its table to the terminal, and says how to look oneself", async () => {
    const { code, stdout, stderr } = await demo({ ...env, HOST: "127.0.0.1", COLUMNS: "80" });
    expect([code, stderr]).toEqual([0, ""]);
    const [heading = "", rest = ""] = stdout.split("\ntime (UTC)");
    expect(heading).toContain(`An admin's day at ${server.url}, `);
    const [rows = "", end = ""] = rest.split("\n✓ ");
    expect(rows.split("\n").filter((line) => line.length > 80)).toEqual([]);
    expect(rows).toMatch(/^\S+ +DENIED +Max Member was not allowed to call upsertGroupBudget on$/m);
    expect(rows).toMatch(/^ +spendLimitMicros: 500000000 → 50000000$/m);
    expect(end).toContain(
      `\nDATA_DIR=${server.dataDir} npm run --silent token -- --tenant demo --subject olga --role auditor\n`,
    );
  });

  it("finds the folder of the key in what the server says to try", () => {
    expect(server.stdout()).toContain(`Bearer $(DATA_DIR=${server.dataDir} npm run --silent token -- --tenant acme `);
  });

  it("says that nothing answers before anything else, and --url wins over PORT", async () => {
    // Held, so that no other server of the tests comes to listen there.
    const mute = createServer((_, response) => response.destroy()).listen(0, "127.0.0.1");
    await once(mute, "listening");
    const port = String((mute.address() as AddressInfo).port);
    const refusal = (why: string) => ({ code: 1, stdout: "", stderr: expect.stringContaining(why) as string });
    const nothing = refusal(`✗ Nothing answers at http://127.0.0.1:${port}/graphql: `);
    expect(await demo({ ...env, PORT: port })).toEqual(nothing);
    expect(await demo(env, "--url", `http://127.0.0.1:${port}/graphql`)).toEqual(nothing);
    mute.close();
    expect(await demo({ ...env, PORT: "0" })).toEqual(refusal("name it with --url."));
  });
});
