/** What a restricted login is for, and what it may be besides. */
export interface Purpose {
  /** The setting that names such a login. */
  readonly setting: "DATABASE_URL" | "READ_DATABASE_URL";
  /** As in "too mighty to …". */
  readonly deed: string;
  /** What the name of one that is made here ends with, behind the database's. */
  readonly suffix: string;
  /** The role whose rights it has, and beside which it needs none. */
  readonly group: string;
  /** Roles that would let it do more than its purpose, made by the migrations or by PostgreSQL. */
  readonly forbidden: readonly string[];
}

const mightyRoles = [
  "audit_owner",
  "audit_guard",
  "pg_read_all_data",
  "pg_write_all_data",
  "pg_read_server_files",
  "pg_write_server_files",
  "pg_execute_server_program",
];

/** Of the login that the API serves with. */
export const serving: Purpose = {
  setting: "DATABASE_URL",
  deed: "serve with",
  suffix: "api",
  group: "app_api",
  forbidden: [...mightyRoles, "audit_reader"],
};

/** Of the login that the log's readers share. */
export const reading: Purpose = {
  setting: "READ_DATABASE_URL",
  deed: "read the log with",
  suffix: "reader",
  group: "audit_reader",
  forbidden: [...mightyRoles, "audit_writer"],
};
