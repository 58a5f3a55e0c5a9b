import { describe as group, expect, test } from "vitest";
import { actorTypes, auditActions, auditOutcomes } from "../../../src/audit/entry.js";
import { describe, type Described } from "../../../src/audit/read/describe.js";

const entry: Described = {
  actor_type: "USER",
  actor_id: "u-1",
  actor_name: "Sample Admin",
  on_behalf_of: null,
  subsystem: null,
  action: "UPDATE",
  event_type: "device.updated",
  outcome: "SUCCESS",
  error_code: null,
  resource_type: "device",
  resource_id: "0192-3",
  resource_label: "kiosk-7",
  operation: "updateDevice",
  repeat_count: null,
  repeat_count_is_least: null,
  access: null,
  reported_by: null,
  reason: null,
  changes: [{ field: "name" }, { field: "status" }],
};

const codes: Readonly<Record<string, string | null>> = { SUCCESS: null, FAILURE: "NOT_FOUND", DENIED: "FORBIDDEN" };
const actors: Readonly<Record<string, Partial<Described>>> = {
  USER: {},
  SERVICE: { actor_id: "bot", actor_name: null, on_behalf_of: "u-2" },
  SYSTEM: { actor_id: null, actor_name: null, subsystem: "chat_auto_archive" },
  DATABASE: { actor_id: null, actor_name: null },
  ANONYMOUS: { actor_id: null, actor_name: null },
};

const sentence = (change: Partial<Described>): string => describe({ ...entry, ...change });

group("a description", () => {
  test("of what another process reported says whose words it is, and for whom it was", () => {
    const reported = { action: "REQUEST", resource_type: "http_request", resource_label: "GET https://a.example.com/" };
    expect(sentence({ ...reported, reported_by: "gw-1", actor_name: "Gateway", on_behalf_of: "u-2" })).toBe(
      'Reported by gw-1: Gateway on behalf of u-2 made http request "GET https://a.example.com/".',
    );
    expect(sentence({ ...reported, reported_by: "gw-1", outcome: "DENIED", error_code: "FORBIDDEN" })).toBe(
      'Reported by gw-1: Sample Admin was not allowed to make http request "GET https://a.example.com/": FORBIDDEN.',
    );
  });

  test("names who reports once", () => {
    const reported = { action: "REQUEST", resource_type: "http_request", resource_label: "GET https://a.example.com/" };
    const own = { ...reported, reported_by: "gw-1", actor_id: "gw-1", actor_name: null };
    expect(sentence(own)).toBe('Reported by gw-1: it made http request "GET https://a.example.com/".');
    expect(sentence({ ...own, on_behalf_of: "u-7", outcome: "DENIED", error_code: "FORBIDDEN" })).toBe(
      'Reported by gw-1: it, on behalf of u-7, was not allowed to make http request "GET https://a.example.com/": FORBIDDEN.',
    );
  });

  test("names the login of who changed a table directly, and tells a change in bulk from one of a row", () => {
    const direct = { actor_type: "DATABASE", actor_id: null, actor_name: "migrator", resource_label: null };
    const bulk = (rows: number): Partial<Described> => ({
      ...{ ...direct, resource_id: null, resource_type: "group_budget", reason: "A new year." },
      changes: [{ field: "rows", new: rows }, { field: "statement" }],
    });
    expect(sentence(direct)).toBe("The database login migrator updated device 0192-3: name, status.");
    expect(sentence(bulk(1))).toBe("The database login migrator updated 1 row of group budget in bulk: A new year.");
    expect(sentence({ ...bulk(12_000), action: "DELETE", reason: null })).toBe(
      "The database login migrator deleted 12000 rows of group budget in bulk.",
    );
    expect(sentence({ ...bulk(1), resource_id: "7" })).toBe(
      "The database login migrator updated group budget 7: rows, statement.",
    );
  });

  test("tells of the program's own start and stop without saying twice who it is", () => {
    const api = { actor_type: "SYSTEM", actor_id: null, actor_name: null, subsystem: "api", resource_type: "api" };
    expect(sentence({ ...api, action: "STOP", resource_label: "vm, version 0.1.0" })).toBe(
      "The API on vm, version 0.1.0, stopped.",
    );
    expect(sentence({ ...api, action: "START", resource_label: null })).toBe("The API started.");
  });

  test("doesn't take the beginning of an id for a name", () => {
    expect(sentence({ resource_label: "0192" })).toBe("Sample Admin updated device 0192: name, status.");
    expect(sentence({ resource_label: "" })).toBe('Sample Admin updated device "": name, status.');
  });

  test("is another for each action and outcome", () => {
    const sentences = auditOutcomes.flatMap((outcome) =>
      [...auditActions, null].map((action) => sentence({ action, outcome, error_code: codes[outcome] ?? null })),
    );
    expect(sentences).toMatchInlineSnapshot(`
      [
        "Sample Admin created device "kiosk-7".",
        "Sample Admin updated device "kiosk-7": name, status.",
        "Sample Admin deleted device "kiosk-7".",
        "Sample Admin looked for entry 0192-3 in the log.",
        "Sample Admin started device "kiosk-7".",
        "Sample Admin stopped device "kiosk-7".",
        "Sample Admin made device "kiosk-7".",
        "Sample Admin did device.updated to device "kiosk-7".",
        "Sample Admin tried to create device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin tried to update device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin tried to delete device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin tried to read the log and failed: NOT_FOUND.",
        "Sample Admin tried to start device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin tried to stop device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin tried to make device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin tried to call updateDevice on device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin was not allowed to create device "kiosk-7": FORBIDDEN.",
        "Sample Admin was not allowed to update device "kiosk-7": FORBIDDEN.",
        "Sample Admin was not allowed to delete device "kiosk-7": FORBIDDEN.",
        "Sample Admin was not allowed to read the log: FORBIDDEN.",
        "Sample Admin was not allowed to start device "kiosk-7": FORBIDDEN.",
        "Sample Admin was not allowed to stop device "kiosk-7": FORBIDDEN.",
        "Sample Admin was not allowed to make device "kiosk-7": FORBIDDEN.",
        "Sample Admin was not allowed to call updateDevice on device "kiosk-7": FORBIDDEN.",
      ]
    `);
    expect(new Set(sentences).size).toBe(sentences.length);
  });

  test("is another for each kind of actor and outcome", () => {
    const sentences = actorTypes.flatMap((type) =>
      auditOutcomes.map((outcome) =>
        sentence({ ...actors[type], actor_type: type, outcome, error_code: codes[outcome] ?? null }),
      ),
    );
    expect(sentences).toMatchInlineSnapshot(`
      [
        "Sample Admin updated device "kiosk-7": name, status.",
        "Sample Admin tried to update device "kiosk-7" and failed: NOT_FOUND.",
        "Sample Admin was not allowed to update device "kiosk-7": FORBIDDEN.",
        "bot on behalf of u-2 updated device "kiosk-7": name, status.",
        "bot on behalf of u-2 tried to update device "kiosk-7" and failed: NOT_FOUND.",
        "bot on behalf of u-2 was not allowed to update device "kiosk-7": FORBIDDEN.",
        "The system (chat_auto_archive) updated device "kiosk-7": name, status.",
        "The system (chat_auto_archive) tried to update device "kiosk-7" and failed: NOT_FOUND.",
        "The system (chat_auto_archive) was not allowed to update device "kiosk-7": FORBIDDEN.",
        "Someone with direct access to the database updated device "kiosk-7": name, status.",
        "Someone with direct access to the database tried to update device "kiosk-7" and failed: NOT_FOUND.",
        "Someone with direct access to the database was not allowed to update device "kiosk-7": FORBIDDEN.",
        "An unidentified caller updated device "kiosk-7": name, status.",
        "An unidentified caller tried to update device "kiosk-7" and failed: NOT_FOUND.",
        "An unidentified caller was not allowed to update device "kiosk-7": FORBIDDEN.",
      ]
    `);
    expect(new Set(sentences).size).toBe(sentences.length);
  });

  test("names a resource by its label, its id or its kind", () => {
    const failed = { outcome: "FAILURE", error_code: "CONFLICT", action: "CREATE", resource_type: "group_budget" };
    expect(sentence({ ...failed, resource_label: "Field crew" })).toBe(
      'Sample Admin tried to create group budget "Field crew" and failed: CONFLICT.',
    );
    expect(sentence({ ...failed, resource_label: null })).toBe(
      "Sample Admin tried to create group budget 0192-3 and failed: CONFLICT.",
    );
    expect(sentence({ ...failed, resource_label: null, resource_id: null })).toBe(
      "Sample Admin tried to create a group budget and failed: CONFLICT.",
    );
  });

  test("tells how much of the log was read, and how little", () => {
    const read = (rows: number, id: string | null = null): string =>
      sentence({ action: "READ", resource_type: "audit_log", resource_id: id, access: { filter: {}, rows } });
    expect([read(0), read(1), read(200), read(1, "0192-3"), read(0, "0192-3")]).toEqual([
      "Sample Admin searched the log and was given none of its entries.",
      "Sample Admin read 1 entry of the log.",
      "Sample Admin read 200 entries of the log.",
      "Sample Admin read entry 0192-3 of the log.",
      "Sample Admin looked for entry 0192-3 in the log.",
    ]);
  });

  test("says how many an entry stands for", () => {
    expect(sentence({ outcome: "DENIED", error_code: "FORBIDDEN", repeat_count: 12 })).toBe(
      '12 more attempts: Sample Admin was not allowed to update device "kiosk-7": FORBIDDEN.',
    );
    expect(sentence({ outcome: "DENIED", error_code: "FORBIDDEN", repeat_count: 5, repeat_count_is_least: true })).toBe(
      'At least 5 more attempts: Sample Admin was not allowed to update device "kiosk-7": FORBIDDEN.',
    );
    expect(sentence({ outcome: "DENIED", error_code: "FORBIDDEN", repeat_count: 1 })).toMatch(/^1 more attempt: /);
    expect(sentence({ action: "READ", repeat_count: 3, access: { filter: {}, rows: 6 }, resource_id: null })).toBe(
      "3 more times: Sample Admin read 6 entries of the log.",
    );
  });

  test("tells of what was done to nothing", () => {
    const nothing = { action: null, resource_type: null, resource_id: null, resource_label: null };
    const server = { actor_type: "SYSTEM", actor_name: null, actor_id: null, subsystem: "server" };
    expect(sentence({ ...nothing, ...server, event_type: "process.started" })).toBe(
      "The system (server) did process.started.",
    );
  });

  test("names the actor by id where no name was known, and by its kind where nothing was", () => {
    expect(sentence({ actor_name: null })).toBe('u-1 updated device "kiosk-7": name, status.');
    expect(sentence({ actor_name: null, actor_id: null })).toBe('A user updated device "kiosk-7": name, status.');
  });

  test("names eight fields and counts the others", () => {
    const changes = "abcdefghij".split("").map((field) => ({ field }));
    expect(sentence({ changes })).toBe('Sample Admin updated device "kiosk-7": a, b, c, d, e, f, g, h and 2 more.');
    expect(sentence({ changes: [] })).toBe('Sample Admin updated device "kiosk-7", which changed nothing.');
  });

  test("is one line in one direction, however its texts are", () => {
    expect(sentence({ actor_name: "a\nb\u202Ec", resource_label: "x".repeat(200) })).toBe(
      `a\uFFFDb\uFFFDc updated device "${"x".repeat(120)}…": name, status.`,
    );
  });

  test("reads the same of a kind, an outcome and an actor that the code no longer knows", () => {
    expect(sentence({ resource_type: "coffee_machine" })).toBe(
      'Sample Admin updated coffee machine "kiosk-7": name, status.',
    );
    expect(sentence({ actor_type: "ROBOT", action: "BREW", event_type: "device.brewed" })).toBe(
      'Sample Admin did device.brewed to device "kiosk-7".',
    );
  });
});
