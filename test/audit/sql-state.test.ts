import { describe, expect, it } from "vitest";
import { mayBeCommitted } from "../../src/audit/may-be-committed.js";
import { sqlState } from "../../src/audit/sql-state.js";
import { translateError } from "../../src/audit/translate-error.js";

const failing = (code: string, severity?: string) => Object.assign(new Error("It failed."), { code, severity });

describe("an error's code", () => {
  it.each(["EPIPE", "EBADF"])("of the system's, such as %s, isn't PostgreSQL's", (code) => {
    expect(sqlState(failing(code))).toBeNull();
  });

  it.each(["23505", "57P01", "HV00N", "XX000", "P0001", "0LP01"])("%s is PostgreSQL's", (code) => {
    expect(sqlState(new Error("Around it.", { cause: failing(code) }))).toBe(code);
  });

  it("EPIPE says that the database is away", () => {
    expect(translateError(failing("EPIPE"), "", () => "unforeseen").code).toBe("UNAVAILABLE");
  });
});

describe("a COMMIT", () => {
  it.each([
    ["EPIPE", undefined],
    ["08006", "ERROR"],
    ["53100", "PANIC"],
    ["53100", "ERROR"],
    ["57P01", "FATAL"],
    ["58030", "PANIC"],
    ["XX000", "PANIC"],
    ["25P03", "FATAL"],
  ])("that ran into %s (%s) may have been carried out", (code, severity) => {
    expect(mayBeCommitted(failing(code, severity))).toBe(true);
  });

  it.each(["23505", "40001", "57014", "55P03", "P0001"])("that was refused with %s wasn't", (code) => {
    expect(mayBeCommitted(failing(code, "ERROR"))).toBe(false);
  });
});
