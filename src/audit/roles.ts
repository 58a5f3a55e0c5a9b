/**
 * The roles that the application knows, as the schema names them.
 *
 * @example
 * roles.includes("AUDITOR"); // true
 */
export const roles = ["MEMBER", "ADMIN", "AUDITOR", "PLATFORM_AUDITOR", "REPORTER"] as const;
/** One of {@link roles}. */
export type Role = (typeof roles)[number];
