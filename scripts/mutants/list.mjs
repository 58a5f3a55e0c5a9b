/**
 * Faults that an audit log has had, one by one: where to make each, and the test files that must find it. `find` stands
 * exactly once in the file. The control changes nothing that anyone could see, and must survive.
 *
 * @type {readonly { name: string, file: string, find: string, replace: string, tests: string[], survives?: true }[]}
 */
export const mutants = [
  {
    name: "no prior state is kept",
    file: "src/audit/operation.ts",
    find: "const prior = new Map(ids.map((id) => [id, found.get(id) ?? null]));",
    replace:
      "const prior = new Map(ids.map((id) => [id, this.field.actions.length > 9 ? (found.get(id) ?? null) : null]));",
    tests: ["test/audit/every-mutation.test.ts"],
  },
  {
    name: "the state after isn't read again",
    file: "src/audit/operation.ts",
    find: "const [before, now] = [prior.get(id) ?? null, after.get(id) ?? null];",
    replace: "const [before, now] = [prior.get(id) ?? null, prior.get(id) ?? after.get(id) ?? null];",
    tests: ["test/audit/every-mutation.test.ts"],
  },
  {
    name: "the prior state is read without a row lock",
    file: "src/audit/snapshot.ts",
    find: '...(lock === null ? [] : [`${lock} of "row"`]),',
    replace: "",
    tests: ["test/audit/races.test.ts"],
  },
  {
    name: "no advisory lock holds the place of what is to be created",
    file: "src/audit/operation.ts",
    find: "select pg_advisory_xact_lock(hashtextextended(key, 0))",
    replace: "select hashtextextended(key, 0)",
    tests: ["test/audit/races.test.ts"],
  },
  {
    name: "field policies are passed over",
    file: "src/audit/snapshot.ts",
    find: 'if (policy?.kind === "secret")',
    replace: 'if (policy?.kind === "secret" && column.propertyPath === "")',
    tests: ["test/audit/every-mutation.test.ts"],
  },
  {
    name: "a secret's value is kept in the log",
    file: "src/audit/changes.ts",
    find: "return [{ field, op, old: null, new: null, secret: true }];",
    replace: "return [{ field, op, old: JSON.stringify(oldValue), new: JSON.stringify(newValue), secret: false }];",
    tests: ["test/audit/every-mutation.test.ts"],
  },
  {
    name: "the entry is written outside the transaction",
    file: "src/audit/subscriber.ts",
    find: "const client = (await scope.runner.connect()) as PoolClient;",
    replace: "const client = (await scope.runner.dataSource.createQueryRunner().connect()) as PoolClient;",
    tests: ["test/audit/failures.test.ts"],
  },
  {
    name: "the subscriber is silent",
    file: "src/audit/subscriber.ts",
    find: "scope.finish = await this.#write(scope, scope.staged);",
    replace:
      "if (scope.staged.length < 0) scope.finish = await this.#write(scope, scope.staged); else scope.entryIds = [];",
    tests: ["test/audit/every-mutation.test.ts"],
  },
  {
    name: "roles aren't checked",
    file: "src/audit/audited-field.ts",
    find: "if (allowed && !allowed.some((role) => caller.roles.has(role)))",
    replace: "if (allowed && !allowed.some((role) => caller.roles.has(role)) && caller.roles.size > 99)",
    tests: ["test/audit/permissions.test.ts"],
  },
  {
    name: "a filter is dropped",
    file: "src/audit/read/statements.ts",
    find: "const where = [...own, bounds, ...rest.map(",
    replace: "const where = [...own, bounds, ...rest.slice(99).map(",
    tests: ["test/audit/filters.test.ts"],
  },
  {
    name: "the tenant is dropped from what is read and locked",
    file: "src/audit/snapshot.ts",
    find: "`where ${[`${tenant} = $1`,",
    replace: "`where ${[`($1::text is not null or ${tenant} = $1)`,",
    tests: ["test/audit/permissions.test.ts"],
  },
  {
    name: "what the caller may see is dropped",
    file: "src/audit/operation.ts",
    find: "const visibility = this.field.resource.visible(this.context.caller);",
    replace: 'const visibility = this.field.name === "" ? this.field.resource.visible(this.context.caller) : "all";',
    tests: ["test/audit/permissions.test.ts"],
  },
  {
    name: "nothing is ever folded",
    file: "src/audit/fold.ts",
    find: "if (window.taken < perWindow) {",
    replace: "if (window.taken < perWindow * 1_000_000) {",
    tests: ["test/audit/floods.test.ts"],
  },
  {
    name: "failures are folded too",
    file: "src/audit/fold.ts",
    find: 'entries.some(({ outcome }) => outcome !== "DENIED")',
    replace: 'entries.some(({ outcome }) => outcome === "SUCCESS")',
    tests: ["test/audit/fold.test.ts"],
  },
  {
    name: "a summary that stands is written again",
    file: "src/audit/write-apart.ts",
    find: 'values ($1, $2, $3)"',
    replace: 'values ($1, $2, $3) on conflict do nothing"',
    tests: ["test/audit/floods.test.ts"],
  },
  {
    name: "the log is shown before the look at it is entered",
    file: "src/audit/apply-audit.ts",
    find: "await access.answered(look, answer);",
    replace: "void access.answered(look, answer).catch(() => undefined);",
    tests: ["test/audit/access.test.ts"],
  },
  {
    name: "what is declared otherwise than before isn't entered",
    file: "migrations/1795219213000-declarations.ts",
    find: "where old.declared is distinct from given.declared",
    replace: "where old.declared is null",
    tests: ["test/audit/settings.test.ts"],
  },
  {
    name: "control: the retries are one more",
    file: "src/audit/apply-audit.ts",
    find: "const MAX_TRIES = 4;",
    replace: "const MAX_TRIES = 5;",
    tests: ["test/audit/every-mutation.test.ts", "test/audit/races.test.ts", "test/audit/failures.test.ts"],
    survives: true,
  },
];
