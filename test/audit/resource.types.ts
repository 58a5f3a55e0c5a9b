/**
 * What the compiler asks of a declaration. Nothing here runs: `npm run types` fails where one of these lines compiles
 * that must not, or doesn't where it must.
 */
import { defineAuditedResource, ignore, secret, track, trackSet, type AuditedResource } from "../../src/audit/index.js";

class Door {
  tenantId!: string;
  id!: string;
  code!: string;
  keepers!: readonly string[];
}

const named = { tenantId: ignore("The entry says it."), id: ignore("The entry says it.") };
const declaration = { type: "door", entity: Door, id: "id", tenant: "tenantId", label: () => null } as const;

/** A policy for each property. */
export const whole: AuditedResource<Door> = defineAuditedResource({
  ...declaration,
  fields: { ...named, code: secret, keepers: trackSet },
});

export const missing = defineAuditedResource({
  ...declaration,
  // @ts-expect-error `keepers` has no policy
  fields: { ...named, code: secret },
});

export const surplus = defineAuditedResource({
  ...declaration,
  // @ts-expect-error a door has no `colour`
  fields: { tenantId: named.tenantId, id: named.id, code: secret, keepers: trackSet, colour: track },
});

export const unexplained = defineAuditedResource({
  ...declaration,
  // @ts-expect-error what is ignored is ignored for a reason
  fields: { ...named, code: secret, keepers: ignore() },
});

export const nameless = defineAuditedResource({
  ...declaration,
  // @ts-expect-error a door is found by no `number`
  id: "number",
  fields: { ...named, code: secret, keepers: trackSet },
});

export const homeless = defineAuditedResource({
  ...declaration,
  // @ts-expect-error a door belongs to no `owner`
  tenant: "owner",
  fields: { ...named, code: secret, keepers: trackSet },
});

export const overseen = defineAuditedResource({
  ...declaration,
  fields: { ...named, code: secret, keepers: trackSet },
  // @ts-expect-error rows are seen by a door's properties alone
  visible: ({ subject }) => ({ owner: subject }),
});
