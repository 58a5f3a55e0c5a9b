import type { Callers } from "./callers.js";
import type { Desk } from "./desk.js";
import { added, asked, removed, replaced, secretly } from "./entry.js";

const firstName = "Greenhouse sensor";
const lastName = "Greenhouse sensor 7";

export function deviceCreated(desk: Desk, { admin }: Callers, serialNumber: string): Promise<string> {
  const values = { serialNumber, name: firstName, firmwareVersion: "2.4.0" };
  return desk.attempt("A device is created, with a secret", {
    caller: admin,
    operation: "createDevice",
    input: { ...values, provisioningSecret: "never-in-the-log" },
    expect: (id) => ({
      eventType: "device.created",
      outcome: "SUCCESS",
      error: null,
      resource: { type: "device", id, label: firstName },
      changes: [
        ...added({ serialNumber, name: firstName, status: "ACTIVE", firmwareVersion: "2.4.0" }),
        secretly("provisioningSecret", "ADD"),
      ],
      attempted: [],
      sentence: `created device "${firstName}".`,
    }),
  });
}

export async function deviceDay(desk: Desk, { admin }: Callers, serialNumber: string, id: string): Promise<void> {
  await desk.attempt("It is renamed", {
    caller: admin,
    operation: "updateDevice",
    input: { id, name: lastName },
    expect: () => ({
      eventType: "device.updated",
      outcome: "SUCCESS",
      error: null,
      resource: { type: "device", id, label: lastName },
      changes: [replaced("name", firstName, lastName)],
      attempted: [],
      sentence: `updated device "${lastName}": name.`,
    }),
  });
  await desk.attempt("Another one with its serial number fails (CONFLICT)", {
    caller: admin,
    operation: "createDevice",
    input: { serialNumber, name: "Impostor" },
    expect: () => ({
      eventType: "device.creation_failed",
      outcome: "FAILURE",
      error: { code: "CONFLICT" },
      resource: { type: "device", id: null, label: null },
      changes: [],
      attempted: asked({ serialNumber, name: "Impostor" }),
      sentence: "tried to create a device and failed: CONFLICT.",
    }),
  });
}

export async function deviceGone(desk: Desk, { admin }: Callers, serialNumber: string, id: string): Promise<void> {
  await desk.attempt("The device is deleted", {
    caller: admin,
    operation: "deleteDevice",
    input: { id },
    expect: () => ({
      eventType: "device.deleted",
      outcome: "SUCCESS",
      error: null,
      resource: { type: "device", id, label: lastName },
      changes: [
        ...removed({ serialNumber, name: lastName, status: "ACTIVE", firmwareVersion: "2.4.0" }),
        secretly("provisioningSecret", "REMOVE"),
      ],
      attempted: [],
      sentence: `deleted device "${lastName}".`,
    }),
  });
}
